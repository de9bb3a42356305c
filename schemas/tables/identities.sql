-- Who was given access, and who lost it.
CREATE TABLE IF NOT EXISTS identities (
  position UInt64 COMMENT 'place in the sequenced log' CODEC(Delta, ZSTD(1)),
  row UInt16 DEFAULT 0 COMMENT 'place among the rows of one event',
  event_id UUID COMMENT 'the event this row was folded from',
  leaf_hash String COMMENT 'RFC 6962 leaf hash, hex: what a proof of this row proves' CODEC(NONE),
  project LowCardinality(String),
  time DateTime64(3, 'UTC') COMMENT 'ledger time' CODEC(Delta, ZSTD(1)),
  name String,
  event LowCardinality(String),
  access Array(LowCardinality(String)),
  expires_at Nullable(DateTime64(3, 'UTC')),
  actor LowCardinality(String) COMMENT 'who granted or took it'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (name, position, row)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
