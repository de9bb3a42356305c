/**
 * Every error that a caller can act on. `kind` says what can be done about it (transports map
 * kinds, never codes: `src/api/problem.ts`, `src/runtime/failure.ts`, `src/cli/main.ts`);
 * `remedy` is the sentence shown beside the message.
 */
export const errorTable = {
  REQUEST_INVALID: {
    kind: 'invalid',
    remedy: 'Correct the named fields and send the request again.',
  },
  REQUEST_TOO_LARGE: {
    kind: 'too-large',
    remedy: 'Send a smaller body or fewer events per request.',
  },
  CONTENT_TYPE_UNSUPPORTED: {
    kind: 'unsupported',
    remedy: 'Use one of the content types that the OpenAPI document names for this route.',
  },
  TOKEN_MISSING: {
    kind: 'unauthenticated',
    remedy: 'Send "Authorization: Bearer <token>" or sign in to the portal.',
  },
  TOKEN_INVALID: {
    kind: 'unauthenticated',
    remedy: 'Use a token that "fractalops token create" printed and that was not revoked.',
  },
  ORIGIN_REFUSED: {
    kind: 'forbidden',
    remedy: 'Open the portal at the address that "fractalops up" printed.',
  },
  ACCESS_DENIED: {
    kind: 'forbidden',
    remedy: 'Use a token with the access role that the message names.',
  },
  SELF_APPROVAL: {
    kind: 'forbidden',
    remedy: 'Ask another person with the access role approver to decide.',
  },
  WRITER_REFUSED: {
    kind: 'forbidden',
    remedy: 'Events of this contract are appended only by the writer that the message names.',
  },
  EVENT_TYPE_UNKNOWN: {
    kind: 'invalid',
    remedy: 'Use a type of the catalogue, or a stream outside the reserved categories.',
  },
  EVENT_INVALID: {
    kind: 'invalid',
    remedy: 'Make the data match the published schema of the contract.',
  },
  EVENT_VERSION_UNKNOWN: {
    kind: 'invalid',
    remedy: 'Upgrade the reader: the event was written by a newer version.',
  },
  EVENT_TOO_LARGE: {
    kind: 'too-large',
    remedy: 'Keep the bytes elsewhere and record their SHA-256 as evidence.',
  },
  EVENT_ID_REUSED: {
    kind: 'conflict',
    remedy: 'Use a new id, or send exactly the bytes that were sent first.',
  },
  EVENT_NOT_FOUND: {
    kind: 'missing',
    remedy: 'Check the id; "fractalops events" lists what is recorded.',
  },
  STREAM_INVALID: {
    kind: 'invalid',
    remedy: 'Name the stream <category>-<id>, or any name without "$" at its beginning.',
  },
  STREAM_NOT_FOUND: {
    kind: 'missing',
    remedy: 'Check the stream name; "fractalops events" lists what is recorded.',
  },
  STREAM_DELETED: {
    kind: 'conflict',
    remedy: 'Use another name: this stream was ended for good. What it holds stays on the ledger.',
  },
  REVISION_CONFLICT: {
    kind: 'conflict',
    remedy: 'Read the stream again and decide on its present revision.',
  },
  PRECONDITION_FAILED: {
    kind: 'precondition',
    remedy: 'Read it again and send the ETag of what you then see in If-Match.',
  },
  PROPOSAL_NOT_FOUND: {
    kind: 'missing',
    remedy: 'Check the id; GET /v1/proposals lists the proposals.',
  },
  PROPOSAL_STATE: {
    kind: 'conflict',
    remedy: 'Look at the proposal again: its status does not allow this step.',
  },
  PROPOSAL_DIGEST_MISMATCH: {
    kind: 'conflict',
    remedy: 'Look at the proposal again and decide on the digest it shows now.',
  },
  ASSET_NOT_FOUND: {
    kind: 'missing',
    remedy: 'Check the asset_id; GET /v1/assets lists the assets.',
  },
  ASSET_UNKNOWN: {
    kind: 'invalid',
    remedy:
      'Name a registered asset_id, or register it with a proposal of kind asset-registration.',
  },
  ASSET_EXISTS: { kind: 'conflict', remedy: 'Choose another asset_id: this one is registered.' },
  WORKER_UNKNOWN: {
    kind: 'invalid',
    remedy: 'Name a worker that is enrolled, or enrol it with a proposal of kind worker-enrolment.',
  },
  WORKER_EXISTS: {
    kind: 'conflict',
    remedy: 'Choose another name, or a new key: "fractalops worker identity" makes one.',
  },
  WORKER_REFUSED: {
    kind: 'forbidden',
    remedy:
      'Enrol the key of this process with a proposal of kind worker-enrolment; "fractalops worker identity" prints it.',
  },
  LEDGER_UNREACHABLE: {
    kind: 'unavailable',
    remedy:
      'Start the process of the ledger, or correct FRACTALOPS_LEDGER; this process goes on by itself when it answers.',
  },
  ASSET_BUSY: {
    kind: 'unavailable',
    remedy: 'Wait until the mutation in progress on this asset has its outcome.',
  },
  ROLE_UNRESOLVED: {
    kind: 'invalid',
    remedy:
      'Name one asset by asset_id, or a role that resolves to as many assets as the operation allows.',
  },
  STATE_REVISION_STALE: {
    kind: 'conflict',
    remedy: 'Read the asset again and propose on its present state revision.',
  },
  CONTROLLER_REFUSED: {
    kind: 'invalid',
    remedy: 'Correct what the message names in the specification of the asset.',
  },
  CONTROLLER_UNAVAILABLE: {
    kind: 'unavailable',
    remedy: 'The execution runtime tries again; see the asset page for its last observation.',
  },
  POLICY_INVALID: {
    kind: 'invalid',
    remedy: 'Correct the policy at the place that the message names; nothing was activated.',
  },
  CAPABILITY_ENDED: {
    kind: 'forbidden',
    remedy: 'Append side effects only inside the activity attempt that received the capability.',
  },
  PROOF_MISMATCH: {
    kind: 'tampered',
    remedy: 'Do not rely on this file: ask for the proof again from a ledger that you trust.',
  },
  PROOF_MALFORMED: {
    kind: 'invalid',
    remedy: 'Use the proof file exactly as "fractalops prove" wrote it.',
  },
  ROLLBACK_DETECTED: {
    kind: 'tampered',
    remedy:
      'Restore a newer backup. Only who knows why the ledger was larger may go on with "fractalops up --accept-rollback"; what was recorded behind this point is lost then, and witnesses keep refusing until their operators let them forget it.',
  },
  CHECKPOINT_NOT_WITNESSED: {
    kind: 'unavailable',
    remedy: 'Ask again when the witnesses have followed; /readyz says how each of them stands.',
  },
  WITNESS_STATE_DAMAGED: {
    kind: 'tampered',
    remedy:
      'Find out who changed the state of the witness; only its operator may remove the file of this origin, which makes it forget what it has seen.',
  },
  PROOF_NOT_WITNESSED: {
    kind: 'untrusted',
    remedy:
      'Ask for a proof under a witnessed checkpoint (prove --witnessed), or name a policy that it meets.',
  },
  WITNESS_POLICY_INVALID: {
    kind: 'invalid',
    remedy: 'Correct the named line of the policy file (C2SP tlog-policy).',
  },
  PROOF_KEY_UNKNOWN: {
    kind: 'untrusted',
    remedy: 'Name the key of the ledger with --key; GET /v1/checkpoint/key shows it.',
  },
  PROOF_TOO_LARGE: {
    kind: 'too-large',
    remedy: 'Ask for a part: revisions with from and to, or a shorter window of time.',
  },
  HEADS_NOT_SEALED: {
    kind: 'unavailable',
    remedy: 'Ask again in a minute: the ledger seals what was recorded within 60 seconds.',
  },
  TREE_RANGE: {
    kind: 'invalid',
    remedy: 'Ask for a position below the size of a published checkpoint.',
  },
  JOURNAL_DAMAGED: {
    kind: 'tampered',
    remedy:
      'Stop, keep a copy of the folder, and restore it from a backup; "fractalops fsck" names every damaged place.',
  },
  INDEX_DAMAGED: {
    kind: 'unavailable',
    remedy: 'Start the ledger again: the index is made anew from the journal; nothing is lost.',
  },
  LEDGER_LOCKED: {
    kind: 'unavailable',
    remedy: 'Another process uses this data folder: stop it, or choose another folder with --data.',
  },
  LEDGER_READ_ONLY: {
    kind: 'unavailable',
    remedy: 'A write failed; free the disk or mend it, then start again.',
  },
  LEDGER_BUSY: {
    kind: 'busy',
    remedy: 'Wait a moment and send the same event again with the same id.',
  },
  DISK_FULL: {
    kind: 'unavailable',
    remedy: 'Free space on the disk of the data folder; nothing was recorded.',
  },
  DATA_FOLDER_INVALID: {
    kind: 'invalid',
    remedy: 'Choose an empty folder or one that fractalops made.',
  },
  KEY_FILE_INVALID: {
    kind: 'invalid',
    remedy:
      'Give the key file back its mode ("chmod 600 FILE"), or restore the file from your backup.',
  },
  CONFIGURATION_INVALID: {
    kind: 'invalid',
    remedy: 'Correct the named settings; docs/operating.md lists all of them.',
  },
  ADDRESS_IN_USE: {
    kind: 'unavailable',
    remedy:
      'Stop the program that listens there, or choose another address; port 0 takes any free one.',
  },
  QUERY_INVALID: {
    kind: 'invalid',
    remedy: 'Correct the SQL; only read-only statements on the fact tables are allowed.',
  },
  SPARQL_INVALID: {
    kind: 'invalid',
    remedy:
      'Correct the query: SELECT, ASK, CONSTRUCT and DESCRIBE are answered, from the graph alone, without SERVICE and without updates.',
  },
  GRAPH_QUERY_TOO_COSTLY: {
    kind: 'too-large',
    remedy: 'Ask for less: name a thing or an event, bound the path, or add LIMIT.',
  },
  GRAPH_UNAVAILABLE: {
    kind: 'unavailable',
    remedy:
      'Ask again shortly: the graph is made anew from the ledger; /v1/lineage answers meanwhile.',
  },
  GRAPH_INVALID: {
    kind: 'unavailable',
    remedy:
      'Report it with the event id: the event and its proof are not affected, its graph is held back.',
  },
  PROJECTION_FAILED: {
    kind: 'invalid',
    remedy:
      'The other fact tables go on; upgrade, then "fractalops rebuild" folds this table again.',
  },
  WAREHOUSE_UNAVAILABLE: {
    kind: 'unavailable',
    remedy: 'The warehouse restarts by itself; the ledger and its proofs are not affected.',
  },
  EXECUTION_UNAVAILABLE: {
    kind: 'unavailable',
    remedy: 'Temporal cannot be reached: proposals wait in the ledger and start when it is back.',
  },
  CONNECTION_STRING_INVALID: {
    kind: 'invalid',
    remedy:
      'Write esdb://NAME:PASSWORD@HOST:PORT?tls=true&tlsCAFile=FILE; docs/eventstore.md says more.',
  },
  EVENT_STORE_UNREACHABLE: {
    kind: 'unavailable',
    remedy:
      'Check the address, TLS and that the server runs; then run the command again: it goes on where it stood.',
  },
  LIVE_TABLE_CONFLICT: {
    kind: 'conflict',
    remedy:
      'Give this ledger a database of its own in FRACTALOPS_LIVE, or drop the tables portal_live_events and portal_live_position: they are written anew.',
  },
  SERVICE_NOT_RUNNING: {
    kind: 'unavailable',
    remedy: 'Start it with "fractalops up --data DIR", or name a running one with --url.',
  },
  NOT_FOUND: { kind: 'missing', remedy: 'See /openapi.json for the routes of this service.' },
} as const satisfies Record<string, { kind: string; remedy: string }>

export type ErrorCode = keyof typeof errorTable
export type ErrorKind = (typeof errorTable)[ErrorCode]['kind']

/** One place in a request that is wrong: an RFC 6901 pointer and what to change there. */
export interface FieldProblem {
  readonly pointer: string
  readonly detail: string
}

/** An error that a caller may act on. */
export class EvidenceError extends Error {
  readonly kind: ErrorKind
  readonly remedy: string
  /** What a program may need beside the code; `retryAfterMs` says when to come again. */
  readonly details: Readonly<Record<string, unknown>>
  readonly fields: readonly FieldProblem[]

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: {
      readonly cause?: unknown
      readonly details?: Readonly<Record<string, unknown>>
      readonly fields?: readonly FieldProblem[]
    } = {},
  ) {
    super(message, { cause: options.cause })
    this.name = `EvidenceError [${code}]`
    this.kind = errorTable[code].kind
    this.remedy = errorTable[code].remedy
    this.details = options.details ?? {}
    this.fields = options.fields ?? []
  }
}
