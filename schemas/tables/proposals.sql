-- One row per event that moved a proposal on; what only its submission says is null in the later rows.
CREATE TABLE IF NOT EXISTS proposals (
  position UInt64 COMMENT 'place in the sequenced log' CODEC(Delta, ZSTD(1)),
  row UInt16 DEFAULT 0 COMMENT 'place among the rows of one event',
  event_id UUID COMMENT 'the event this row was folded from',
  leaf_hash String COMMENT 'RFC 6962 leaf hash, hex: what a proof of this row proves' CODEC(NONE),
  project LowCardinality(String),
  time DateTime64(3, 'UTC') COMMENT 'ledger time' CODEC(Delta, ZSTD(1)),
  proposal_id UUID,
  event LowCardinality(String),
  status LowCardinality(String) COMMENT 'the status from this event on',
  actor LowCardinality(String),
  kind LowCardinality(Nullable(String)),
  operation LowCardinality(Nullable(String)),
  asset_id Nullable(String),
  role Nullable(String),
  asset_ids Array(String),
  proposer Nullable(String),
  reason Nullable(String) COMMENT 'why it was proposed, rejected, withdrawn or cancelled, or why it failed',
  reason_codes Array(String),
  reason_messages Array(String),
  resolvable_by Array(String),
  ticket Nullable(String),
  proposal_digest Nullable(String),
  workflow_id Nullable(String),
  approvals_required Nullable(UInt8),
  expires_at Nullable(DateTime64(3, 'UTC'))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (proposal_id, position, row)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

-- Each proposal as it stands: its submission joined with its latest status.
CREATE OR REPLACE VIEW proposals_present AS
SELECT
  p.proposal_id AS proposal_id,
  argMax(p.status, p.position) AS status,
  argMax(p.event, p.position) AS last_event,
  anyIf(p.kind, p.event = 'proposal.submitted') AS kind,
  anyIf(p.operation, p.event = 'proposal.submitted') AS operation,
  anyIf(p.asset_ids, p.event = 'proposal.submitted') AS asset_ids,
  anyIf(p.proposer, p.event = 'proposal.submitted') AS proposer,
  anyIf(p.reason, p.event = 'proposal.submitted') AS reason,
  anyIf(p.ticket, p.event = 'proposal.submitted') AS ticket,
  anyIf(p.proposal_digest, p.event = 'proposal.submitted') AS proposal_digest,
  argMaxIf(p.reason_codes, p.position, notEmpty(p.reason_codes)) AS reason_codes,
  argMaxIf(p.reason_messages, p.position, notEmpty(p.reason_messages)) AS reason_messages,
  min(p.time) AS submitted_at,
  max(p.time) AS updated_at,
  argMax(p.project, p.position) AS project,
  argMax(p.event_id, p.position) AS event_id,
  argMax(p.leaf_hash, p.position) AS leaf_hash,
  max(p.position) AS position
FROM proposals AS p
GROUP BY p.proposal_id;
