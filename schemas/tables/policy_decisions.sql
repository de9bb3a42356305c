-- Every answer of the policy engine, with the digests needed to make it again.
CREATE TABLE IF NOT EXISTS policy_decisions (
  position UInt64 COMMENT 'place in the sequenced log' CODEC(Delta, ZSTD(1)),
  row UInt16 DEFAULT 0 COMMENT 'place among the rows of one event',
  event_id UUID COMMENT 'the event this row was folded from',
  leaf_hash String COMMENT 'RFC 6962 leaf hash, hex: what a proof of this row proves' CODEC(NONE),
  project LowCardinality(String),
  time DateTime64(3, 'UTC') COMMENT 'ledger time' CODEC(Delta, ZSTD(1)),
  proposal_id UUID,
  stage LowCardinality(String) COMMENT 'simulated (before anything runs) or enforced (at execution)',
  outcome LowCardinality(String),
  reasons Array(Tuple(code String, message String, resolvable_by Nullable(String))),
  reason_codes Array(String),
  reason_messages Array(String),
  approvals_required UInt8,
  approvals_counted UInt8,
  determining_policies Array(String),
  errors Array(String),
  bundle LowCardinality(String),
  bundle_digest LowCardinality(String),
  schema_digest LowCardinality(String),
  input_digest String,
  proposal_digest String,
  engine LowCardinality(String),
  asset_ids Array(String),
  states String COMMENT 'JSON',
  diff String COMMENT 'JSON: the predicted effect per asset' CODEC(ZSTD(3)),
  input String COMMENT 'JSON: the question as it was put' CODEC(ZSTD(3)),
  actor LowCardinality(String)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (outcome, proposal_id, position, row)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
