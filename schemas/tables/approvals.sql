-- Every approval and rejection, bound to what the approver was shown.
CREATE TABLE IF NOT EXISTS approvals (
  position UInt64 COMMENT 'place in the sequenced log' CODEC(Delta, ZSTD(1)),
  row UInt16 DEFAULT 0 COMMENT 'place among the rows of one event',
  event_id UUID COMMENT 'the event this row was folded from',
  leaf_hash String COMMENT 'RFC 6962 leaf hash, hex: what a proof of this row proves' CODEC(NONE),
  project LowCardinality(String),
  time DateTime64(3, 'UTC') COMMENT 'ledger time' CODEC(Delta, ZSTD(1)),
  proposal_id UUID,
  decision LowCardinality(String),
  approver LowCardinality(String),
  proposal_digest String,
  policy_digest Nullable(String),
  states String COMMENT 'JSON: the asset states it was given on',
  comment Nullable(String)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (proposal_id, position, row)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
