/** Parameters of the named audit queries; times are RFC 3339. */
export const auditParameters = ['from', 'to', 'at', 'asset_id', 'minutes'] as const
export type AuditParameter = (typeof auditParameters)[number]

/** A question that auditors ask, with the SQL that answers it. */
export interface AuditQuery {
  readonly name: string
  readonly summary: string
  readonly parameters: readonly AuditParameter[]
  /** Rows name their event by position, event_id and leaf_hash, unless they are of several. */
  readonly sql: string
  /** The event type whose window proof shows that no row is left out; absent where the rows follow from several types. */
  readonly population?: string
  /** What it must answer where the controls work; absent = any number of rows. */
  readonly expects?: 'no rows'
}

const place = 'position, event_id, leaf_hash, time'
const window = 'time >= {from:DateTime64(3)} AND time < {to:DateTime64(3)}'

/** Every named query. `docs/facts.md` describes them. */
export const auditQueries: readonly AuditQuery[] = [
  {
    name: 'changes',
    summary: 'Every change that was proposed in a window, with how it ended',
    parameters: ['from', 'to'],
    population: 'proposal.submitted',
    sql: `SELECT p.position AS position, p.event_id AS event_id, p.leaf_hash AS leaf_hash, p.time AS time,
  p.proposal_id AS proposal_id, kind, operation, asset_ids, proposer, reason, ticket, latest.status AS status
FROM proposals AS p
INNER JOIN (SELECT proposal_id, argMax(status, position) AS status FROM proposals GROUP BY proposal_id) AS latest
  ON latest.proposal_id = p.proposal_id
WHERE p.event = 'proposal.submitted' AND p.time >= {from:DateTime64(3)} AND p.time < {to:DateTime64(3)}
ORDER BY position`,
  },
  {
    name: 'changes-without-approval',
    summary:
      'Changes that began in a window and that nobody had approved; policy may have asked for none',
    parameters: ['from', 'to'],
    sql: `SELECT ${place}, proposal_id, workflow_id FROM proposals
WHERE event = 'proposal.started' AND ${window}
  AND proposal_id NOT IN (SELECT proposal_id FROM approvals WHERE decision = 'approved')
ORDER BY position`,
  },
  {
    name: 'self-approvals',
    summary: 'Approvals that a proposer gave to a change of their own',
    parameters: ['from', 'to'],
    expects: 'no rows',
    sql: `SELECT a.position AS position, a.event_id AS event_id, a.leaf_hash AS leaf_hash, a.time AS time, a.proposal_id AS proposal_id, a.approver AS approver
FROM approvals AS a
INNER JOIN (SELECT proposal_id, proposer FROM proposals WHERE event = 'proposal.submitted') AS p ON p.proposal_id = a.proposal_id
WHERE a.decision = 'approved' AND a.approver = p.proposer AND a.time >= {from:DateTime64(3)} AND a.time < {to:DateTime64(3)}
ORDER BY position`,
  },
  {
    name: 'blocked-decisions',
    summary: 'Answers of the policy engine that were denied or indeterminate, with their reasons',
    parameters: ['from', 'to'],
    sql: `SELECT ${place}, proposal_id, stage, outcome, reason_codes, reason_messages, bundle_digest FROM policy_decisions
WHERE outcome != 'allow' AND ${window} ORDER BY position`,
  },
  {
    name: 'mutations-without-allow',
    summary:
      'Mutations that began without an enforced decision before them that allowed the change',
    parameters: ['from', 'to'],
    expects: 'no rows',
    sql: `SELECT m.position AS position, m.event_id AS event_id, m.leaf_hash AS leaf_hash, m.time AS time, m.asset_id AS asset_id, m.proposal_id AS proposal_id, m.operation AS operation
FROM asset_mutations AS m
LEFT JOIN (
  SELECT proposal_id, min(position) AS allowed FROM policy_decisions
  WHERE stage = 'enforced' AND outcome = 'allow' GROUP BY proposal_id
) AS d ON d.proposal_id = m.proposal_id
WHERE m.outcome = 'intended' AND m.time >= {from:DateTime64(3)} AND m.time < {to:DateTime64(3)}
  AND (d.proposal_id != m.proposal_id OR d.allowed > m.position)
ORDER BY position`,
  },
  {
    name: 'asset-states-at',
    summary: 'The recorded state of every asset at an instant',
    parameters: ['at'],
    sql: `SELECT ${place}, asset_id, state_revision, kind, run_state, state_sha256, proposal_id FROM asset_states
WHERE time <= {at:DateTime64(3)} ORDER BY asset_id, position DESC LIMIT 1 BY asset_id`,
  },
  {
    name: 'asset-history',
    summary: 'Every recorded state of one asset, with the time until which it held',
    parameters: ['asset_id'],
    sql: `SELECT ${place}, state_revision, event, run_state, state_sha256, proposal_id, actor,
  leadInFrame(toNullable(time)) OVER (ORDER BY position ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS valid_to
FROM asset_states WHERE asset_id = {asset_id:String} ORDER BY position`,
  },
  {
    name: 'unproposed-changes-of-state',
    summary: 'States that were seen in a window and that no proposal had brought about',
    parameters: ['from', 'to'],
    sql: `SELECT ${place}, asset_id, state_revision, cause, run_state, state_sha256 FROM asset_states
WHERE event = 'asset.observed' AND proposal_id IS NULL AND ${window} ORDER BY position`,
  },
  {
    name: 'step-times',
    summary:
      'How long the steps of workflows took in a window: mean, 95th percentile and longest, in milliseconds',
    parameters: ['from', 'to'],
    sql: `SELECT activity_type, outcome, count() AS steps, round(avg(duration_ms)) AS mean_ms,
  round(quantile(0.95)(duration_ms)) AS p95_ms, max(duration_ms) AS max_ms, max(position) AS last_position
FROM workflow_steps WHERE ${window} GROUP BY activity_type, outcome ORDER BY activity_type, outcome`,
  },
  {
    name: 'policies-at',
    summary:
      'The policy bundles that decisions had used by an instant, and the last decision under each',
    parameters: ['at'],
    sql: `SELECT max(p.position) AS position, argMax(p.event_id, p.position) AS event_id, argMax(p.leaf_hash, p.position) AS leaf_hash, max(p.time) AS time,
  bundle, bundle_digest, count() AS decisions
FROM policy_decisions AS p WHERE p.time <= {at:DateTime64(3)} GROUP BY bundle, bundle_digest ORDER BY position DESC`,
  },
  {
    name: 'access-at',
    summary: 'Who had which access roles at an instant; approvers among them could have approved',
    parameters: ['at'],
    sql: `SELECT ${place}, name, access, expires_at, actor AS granted_by FROM (
  SELECT * FROM identities WHERE time <= {at:DateTime64(3)} ORDER BY name, position DESC LIMIT 1 BY project, name
) WHERE event != 'identity.token-revoked' AND (expires_at IS NULL OR expires_at > {at:DateTime64(3)}) ORDER BY name`,
  },
  {
    name: 'recorded-late',
    summary: 'Evidence that says it occurred more than so many minutes before it was recorded',
    parameters: ['from', 'to', 'minutes'],
    sql: `SELECT ${place}, subject, occurred_at, dateDiff('minute', assumeNotNull(occurred_at), time) AS minutes_late, actor FROM evidence
WHERE occurred_at IS NOT NULL AND ${window} AND time > addMinutes(assumeNotNull(occurred_at), {minutes:UInt32}) ORDER BY position`,
  },
]

export const auditQuery = (name: string): AuditQuery | undefined =>
  auditQueries.find((one) => one.name === name)
