import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createAssetDirectory } from '../../src/assets/directory.js'
import { stateAtRegistration } from '../../src/assets/operations.js'
import { jsonSha256 } from '../../src/assets/state.js'
import {
  assetObserved,
  assetRegistered,
  type AssetState,
  mutationIndeterminate,
  mutationIntended,
  ProcessSpec,
  specExample,
} from '../../src/contracts/asset.js'
import { EvidenceError } from '../../src/contracts/errors.js'
import { ledgerBootstrapped } from '../../src/contracts/ledger.js'
import type { PolicyBundle } from '../../src/contracts/policy.js'
import { ProposalBody } from '../../src/contracts/proposal.js'
import type { JournalLedger } from '../../src/ledger/adapters/open-journal.js'
import type { ExpectedRevision } from '../../src/ledger/event-store.js'
import { type Fact, fact } from '../../src/ledger/facts.js'
import {
  createLedgerWriter,
  createRecordWriter,
  mintSideEffectWriter,
} from '../../src/ledger/writers.js'
import { createCedarEngine } from '../../src/proposals/adapters/cedar.js'
import { readPolicyFolder } from '../../src/proposals/adapters/policy-folder.js'
import { bundleDigest, schemaDigest } from '../../src/proposals/bundle.js'
import { createDecider, type Decider } from '../../src/proposals/decision.js'
import { createProposalDesk } from '../../src/proposals/desk.js'
import { createProposalDirectory } from '../../src/proposals/directory.js'
import { createActivePolicies } from '../../src/proposals/policies.js'
import type { PolicyEngine } from '../../src/proposals/policy-engine.js'
import type { Principal, Proposal, ProposalDesk } from '../../src/proposals/proposal.js'
import { createWorkerDirectory } from '../../src/proposals/worker-directory.js'
import { collect, openTestLedger } from './ledger.js'

/** The policies that a ledger starts with. */
export const bootstrapFolder = join(
  import.meta.dirname,
  '..',
  '..',
  'schemas',
  'policies',
  'bootstrap',
)
export const exampleFolder = join(import.meta.dirname, '..', '..', 'examples', 'proposals')

const project = 'default'

export interface TestDesk {
  readonly desk: ProposalDesk
  readonly decider: Decider
  readonly ledger: JournalLedger
  readonly clock: { nowMs: number }
  readonly bundle: PolicyBundle
  /** Everybody who holds a valid token, with their access roles; a test changes it. */
  readonly tokens: Map<string, readonly string[]>
  person(name: string, ...access: string[]): Principal
  /** Puts an asset on record, as its registration would. */
  register(assetId: string, spec?: Partial<ProcessSpec>): Promise<void>
  /** Records that an asset was seen in another state. */
  observe(assetId: string, state: Partial<AssetState>): Promise<void>
  /** Records an intent of somebody else, and that nobody knows what became of it. */
  loseMutation(assetId: string): Promise<void>
  /** Appends what only activities append. */
  act(stream: string, expected: ExpectedRevision, ...facts: Fact[]): Promise<void>
}

/** A real desk on a real ledger, deciding with the bootstrap policies unless a bundle is given. */
export async function openTestDesk(
  t: Test,
  {
    bundle = readPolicyFolder(bootstrapFolder),
    digest = bundleDigest(bundle),
    engine = createCedarEngine(),
  }: {
    readonly bundle?: PolicyBundle
    /** The digest that the ledger records for the bundle. */
    readonly digest?: string
    readonly engine?: PolicyEngine
  } = {},
): Promise<TestDesk> {
  const { ledger, clock } = await openTestLedger(t)
  const tokens = new Map<string, readonly string[]>()
  const assets = createAssetDirectory(ledger)
  const workers = createWorkerDirectory(ledger)
  const proposals = createProposalDirectory(ledger)
  const decider = createDecider({
    assets,
    workers,
    proposals,
    policies: createActivePolicies(ledger, engine),
    accessOf: async (_project, name) => tokens.get(name),
  })
  const desk = createProposalDesk({
    reader: ledger,
    writer: createRecordWriter(ledger),
    assets,
    workers,
    proposals,
    decider,
    now: () => clock.nowMs,
    newId: () => randomUUID(),
  })
  await createLedgerWriter(ledger).record({
    project,
    stream: 'ledger-0123456789abcdef',
    expected: 'none',
    actor: 'ledger',
    facts: [
      fact(ledgerBootstrapped, randomUUID(), {
        ...ledgerBootstrapped.example,
        policy: bundle,
        policy_digest: digest,
        schema_digest: schemaDigest(bundle),
      }),
    ],
  })

  const attempt = { workflowId: 'w', activityId: 'a', activityType: 'test', isCurrent: () => true }
  const act: TestDesk['act'] = async (stream, expected, ...facts) => {
    const { writer } = mintSideEffectWriter(ledger, attempt)
    await writer.record({ project, stream, expected, actor: 'execution-runtime', facts })
  }
  const recordOf = async (assetId: string) => {
    const record = await assets.get(project, assetId)
    if (record === undefined) throw new Error(`${assetId} is not registered`)
    return record
  }
  return {
    desk,
    decider,
    ledger,
    clock,
    bundle,
    tokens,
    act,
    person(name, ...access) {
      tokens.set(name, access)
      return { name, project, access }
    },
    async register(assetId, changes = {}) {
      // Changed to undefined means left out.
      const spec = ProcessSpec.parse({ ...specExample, ...changes })
      const state = stateAtRegistration(spec)
      await act(
        `asset-${assetId}`,
        'none',
        fact(assetRegistered, randomUUID(), {
          asset_id: assetId,
          proposal_id: randomUUID(),
          spec,
          spec_sha256: jsonSha256(spec),
          state_revision: '0',
          state,
          state_sha256: jsonSha256(state),
        }),
      )
    },
    async observe(assetId, changes) {
      const record = await recordOf(assetId)
      const state = { ...record.state, ...changes }
      await act(
        `asset-${assetId}`,
        'exists',
        fact(assetObserved, randomUUID(), {
          asset_id: assetId,
          cause: 'exit',
          state_revision: String(Number(record.stateRevision) + 1),
          state,
          state_sha256: jsonSha256(state),
          changes: [],
        }),
      )
    },
    async loseMutation(assetId) {
      const mutation = {
        asset_id: assetId,
        mutation_id: randomUUID(),
        proposal_id: randomUUID(),
        operation: 'restart',
      }
      const intended = { ...mutationIntended.example, ...mutation }
      await act(
        `asset-${assetId}`,
        'exists',
        fact(mutationIntended, randomUUID(), intended),
        fact(mutationIndeterminate, randomUUID(), { ...mutation, reason: 'the test lost it' }),
      )
    },
  }
}

/** A proposal body as the API hands it on; every field can be replaced. */
export const body = (fields: Partial<ProposalBody> & Record<string, unknown>): ProposalBody =>
  ProposalBody.parse({
    kind: 'asset-operation',
    ...(fields['role'] === undefined ? { asset_id: 'web-01' } : {}),
    operation: 'start',
    reason: 'the test wants it',
    ...fields,
  })

export const registration = (
  assetId: string,
  spec: Record<string, unknown> = specExample,
): ProposalBody =>
  body({
    kind: 'asset-registration',
    asset_id: assetId,
    operation: 'register',
    spec: JSON.parse(JSON.stringify(spec)),
  })

/** The refusal that some work ends with. */
export async function problemOf(work: Promise<unknown>): Promise<EvidenceError> {
  const outcome = await work.then(
    () => new Error('nothing was refused'),
    (error: unknown) => error,
  )
  if (outcome instanceof EvidenceError) return outcome
  throw outcome
}

/** The code that some work is refused with, or "none". */
export const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => {
      if (error instanceof EvidenceError) return error.code
      throw error
    },
  )

/** The types on the stream of a proposal, in order. */
export const typesOf = async ({ ledger }: TestDesk, { id }: Proposal): Promise<string[]> => {
  const events = await collect(ledger.readStream({ project, stream: `proposal-${id}` }))
  return events.map(({ leaf }) => leaf.type)
}

/** An approval of exactly what a proposal shows. */
export const approval = ({ digest }: Proposal, eventId: string = randomUUID()) => ({
  eventId,
  proposalDigest: digest,
})
