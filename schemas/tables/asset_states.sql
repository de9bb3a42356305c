-- Every recorded state of every asset, valid from its position until the next one of the asset.
CREATE TABLE IF NOT EXISTS asset_states (
  position UInt64 COMMENT 'place in the sequenced log' CODEC(Delta, ZSTD(1)),
  row UInt16 DEFAULT 0 COMMENT 'place among the rows of one event',
  event_id UUID COMMENT 'the event this row was folded from',
  leaf_hash String COMMENT 'RFC 6962 leaf hash, hex: what a proof of this row proves' CODEC(NONE),
  project LowCardinality(String),
  time DateTime64(3, 'UTC') COMMENT 'ledger time' CODEC(Delta, ZSTD(1)),
  asset_id String,
  state_revision UInt64,
  event LowCardinality(String),
  cause LowCardinality(Nullable(String)),
  kind LowCardinality(String),
  role LowCardinality(Nullable(String)),
  run_state LowCardinality(String),
  state String CODEC(ZSTD(3)),
  state_sha256 String,
  spec_sha256 Nullable(String),
  proposal_id Nullable(UUID),
  actor LowCardinality(String)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (asset_id, position, row)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
