-- Intent and outcome of every mutation: an intent without a later row is in progress.
CREATE TABLE IF NOT EXISTS asset_mutations (
  position UInt64 COMMENT 'place in the sequenced log' CODEC(Delta, ZSTD(1)),
  row UInt16 DEFAULT 0 COMMENT 'place among the rows of one event',
  event_id UUID COMMENT 'the event this row was folded from',
  leaf_hash String COMMENT 'RFC 6962 leaf hash, hex: what a proof of this row proves' CODEC(NONE),
  project LowCardinality(String),
  time DateTime64(3, 'UTC') COMMENT 'ledger time' CODEC(Delta, ZSTD(1)),
  mutation_id UUID,
  asset_id String,
  proposal_id UUID,
  operation LowCardinality(String),
  event LowCardinality(String),
  outcome LowCardinality(String) COMMENT 'intended, mutated, failed or indeterminate',
  resolved Bool COMMENT 'found out later, by observing the asset',
  state_revision Nullable(UInt64),
  state_sha256 Nullable(String),
  parameters_sha256 Nullable(String),
  evidence_before Nullable(UUID),
  evidence_after Nullable(UUID),
  changes String COMMENT 'JSON: where the state differs' CODEC(ZSTD(3)),
  reason Nullable(String),
  actor LowCardinality(String),
  INDEX by_mutation mutation_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (asset_id, position, row)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
