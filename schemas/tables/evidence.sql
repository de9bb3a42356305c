-- Every piece of evidence: recorded by a person or program, or captured by an activity.
CREATE TABLE IF NOT EXISTS evidence (
  position UInt64 COMMENT 'place in the sequenced log' CODEC(Delta, ZSTD(1)),
  row UInt16 DEFAULT 0 COMMENT 'place among the rows of one event',
  event_id UUID COMMENT 'the event this row was folded from',
  leaf_hash String COMMENT 'RFC 6962 leaf hash, hex: what a proof of this row proves' CODEC(NONE),
  project LowCardinality(String),
  time DateTime64(3, 'UTC') COMMENT 'ledger time' CODEC(Delta, ZSTD(1)),
  kind LowCardinality(String) COMMENT 'recorded or captured',
  subject String,
  stream String,
  sha256 String CODEC(NONE),
  media_type LowCardinality(String),
  size UInt64,
  location Nullable(String),
  description Nullable(String) CODEC(ZSTD(3)),
  attributes Map(LowCardinality(String), String),
  occurred_at Nullable(DateTime64(3, 'UTC')),
  source Nullable(String),
  proposal_id Nullable(UUID),
  asset_id Nullable(String),
  phase LowCardinality(Nullable(String)),
  actor LowCardinality(String),
  INDEX by_sha256 sha256 TYPE bloom_filter(0.01) GRANULARITY 4,
  INDEX by_subject subject TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (project, media_type, position, row)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
