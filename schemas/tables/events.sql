-- Every leaf of the ledger, with its data as text where it is text and still there.
CREATE TABLE IF NOT EXISTS events (
  position UInt64 COMMENT 'place in the sequenced log' CODEC(Delta, ZSTD(1)),
  row UInt16 DEFAULT 0 COMMENT 'place among the rows of one event',
  event_id UUID COMMENT 'the event this row was folded from',
  leaf_hash String COMMENT 'RFC 6962 leaf hash, hex: what a proof of this row proves' CODEC(NONE),
  project LowCardinality(String),
  time DateTime64(3, 'UTC') COMMENT 'ledger time' CODEC(Delta, ZSTD(1)),
  stream String CODEC(ZSTD(1)),
  category LowCardinality(String),
  revision UInt64,
  type LowCardinality(String),
  type_seq UInt64 COMMENT 'dense per project and type: a gap is a missing event',
  version LowCardinality(String),
  writer LowCardinality(String),
  actor LowCardinality(String),
  content_type LowCardinality(String),
  data_sha256 String CODEC(NONE),
  metadata_sha256 String CODEC(NONE),
  prev Nullable(String) COMMENT 'leaf hash of the previous event of the stream',
  data_state LowCardinality(String) COMMENT 'text, binary, too-large or erased',
  data_bytes UInt64,
  data Nullable(String) CODEC(ZSTD(3)),
  occurred_at Nullable(DateTime64(3, 'UTC')),
  source Nullable(String),
  source_id Nullable(String),
  correlation_id Nullable(String),
  causation_id Nullable(String),
  traceparent Nullable(String),
  INDEX by_event event_id TYPE bloom_filter(0.01) GRANULARITY 4,
  INDEX by_stream stream TYPE bloom_filter(0.01) GRANULARITY 4,
  INDEX by_actor actor TYPE set(100) GRANULARITY 4
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (project, type, position)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
