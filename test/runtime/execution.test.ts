import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleWorkflowCode, type WorkflowBundleOption } from '@temporalio/worker'
import t, { type Test } from 'tap'
import { proposalCompleted, proposalFailed } from '../../src/contracts/proposal.js'
import { EvidenceError } from '../../src/contracts/errors.js'
import type { EventStore } from '../../src/ledger/event-store.js'
import { dataOf } from '../../src/ledger/facts.js'
import { hexOf } from '../../src/ledger/encoding.js'
import { observeChanges } from '../../src/runtime/asset-observer.js'
import { createWorkerDirectory } from '../../src/proposals/worker-directory.js'
import { createExecution } from '../../src/runtime/execution.js'
import { createExecutionActivities } from '../../src/runtime/execution-activities.js'
import { createLedgerActivities } from '../../src/runtime/ledger-activities.js'
import { createOpenProposals } from '../../src/runtime/open-proposals.js'
import { followProposals } from '../../src/runtime/proposal-follower.js'
import { ledgerQueue } from '../../src/runtime/step-names.js'
import { createWorkflowStarter } from '../../src/runtime/workflow-starter.js'
import {
  allowed,
  type Fate,
  project,
  proposalOf,
  recordingControl,
  recordProposal,
  typesOn,
} from '../support/changes.js'
import { openTestLedger } from '../support/ledger.js'
import { eventually } from '../support/product.js'
import { requireTemporal, startTemporal } from '../support/temporal.js'

const log = { info() {}, warn() {}, error() {} }
const skip = requireTemporal()
let bundle: WorkflowBundleOption
t.before(async () => {
  if (skip !== false) return
  const workflowsPath = fileURLToPath(new URL('../../src/runtime/workflows.ts', import.meta.url))
  const quiet = () => {}
  bundle = await bundleWorkflowCode({
    workflowsPath,
    logger: { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet },
  })
})

/** Everything that execution needs, over a ledger; closing it stands for a stop of the service. */
function runExecution(
  t: Test,
  {
    ledger,
    address,
    fate = async () => 'done',
    decision = allowed,
    now = Date.now,
    taskQueue = ledgerQueue('0123456789abcdef'),
  }: {
    ledger: EventStore
    address: () => string | undefined
    fate?: Fate
    decision?: typeof allowed
    now?: () => number
    taskQueue?: string
  },
) {
  const desk = {
    get: (_: string, id: string) => proposalOf(ledger, id),
    async advance(_: string, id: string) {
      const proposal = await proposalOf(ledger, id)
      if (proposal === undefined) throw new EvidenceError('PROPOSAL_NOT_FOUND', id)
      return proposal
    },
  }
  const open = createOpenProposals(ledger)
  const control = recordingControl(ledger, fate)
  const execution = createExecution({
    address,
    addressDetail: () => 'no address yet',
    store: ledger,
    taskQueue,
    workflowBundle: bundle,
    reconcileEveryMs: 1_000,
    log,
    onAvailable() {
      follower.executionIsBack()
      observer.executionIsBack()
    },
  })
  const starter = createWorkflowStarter(() => execution.client(), taskQueue)
  const follower = followProposals({ reader: ledger, desk, open, starter, log })
  const observer = observeChanges({ starter, log, newId: randomUUID })
  execution.start({
    ledger: createLedgerActivities({
      reader: ledger,
      desk,
      enforce: async () => decision,
      open,
      starter,
      assets: async () => [
        { project, assetId: 'web-01' },
        { project, assetId: 'web-02' },
      ],
      workers: createWorkerDirectory(ledger),
      now,
    }),
    execution: createExecutionActivities({ reader: ledger, control, now }),
  })
  const close = async () => {
    await follower.close()
    await observer.close()
    await execution.close()
  }
  t.teardown(close)
  return { execution, control, observer, starter, close }
}

const ended = (ledger: EventStore, id: string, timeoutMs = 30_000) =>
  eventually(
    `proposal ${id} ending`,
    async () => {
      const proposal = await proposalOf(ledger, id)
      return proposal !== undefined && ['completed', 'failed', 'expired'].includes(proposal.status)
        ? proposal
        : undefined
    },
    timeoutMs,
  )

const workflowEnded = (ledger: EventStore, id: string) =>
  eventually(`workflow ${id} ending`, async () => {
    const types = await typesOn(ledger, `workflow-${id}`)
    return types.some((type) => type === 'workflow.completed' || type === 'workflow.failed')
      ? types
      : undefined
  })

t.test(
  'an enqueued proposal is executed step by step, and its end names every stream',
  { skip },
  async (t) => {
    const { ledger } = await openTestLedger(t)
    const { address, folder } = await startTemporal(t)
    const { control, observer } = runExecution(t, { ledger, address: () => address })

    const id = await recordProposal(ledger, { assetIds: ['web-01', 'web-02'] })
    t.equal((await ended(ledger, id)).status, 'completed')

    await workflowEnded(ledger, id)
    const types = await eventually('the last step being recorded', async () => {
      const found = await typesOn(ledger, `workflow-${id}`)
      return found.length === 7 ? found : undefined
    })
    t.strictSame(types, [
      'workflow.started',
      ...Array<string>(5).fill('workflow.step-finished'),
      'workflow.completed',
    ])
    t.strictSame(await typesOn(ledger, `proposal-${id}`), [
      'proposal.submitted',
      'proposal.enqueued',
      'proposal.started',
      'policy.enforced',
      'proposal.completed',
    ])
    const end = await (async () => {
      for await (const event of ledger.readStream({
        project,
        stream: `proposal-${id}`,
        direction: 'backwards',
        max: 1,
      }))
        return dataOf(proposalCompleted, event)
      return undefined
    })()
    t.strictSame(
      end?.contents.map(({ stream }) => stream),
      [`proposal-${id}`, `workflow-${id}`, 'asset-web-01', 'asset-web-02'],
    )
    for (const { stream, last_revision: last, leaf_hash: hash } of end?.contents ?? []) {
      for await (const event of ledger.readStream({ project, stream, from: Number(last), max: 1 }))
        t.equal(hexOf(event.leafHash), hash, stream)
    }

    await eventually('every asset being observed after the start', () =>
      control.calls.filter((call) => call.startsWith('observe')).length >= 2 ? true : undefined,
    )
    t.strictSame(control.calls.filter((call) => call.startsWith('observe')).sort(), [
      'observe web-01 start',
      'observe web-02 start',
    ])
    observer.changed({ project, assetId: 'web-02' })
    await eventually('an exit being observed', () =>
      control.calls.includes('observe web-02 exit') ? true : undefined,
    )
    t.ok(readdirSync(folder).includes('temporal.db'))
  },
)

t.test(
  'what fails, is denied or cannot be told ends as such; the words stay on the ledger',
  { skip },
  async (t) => {
    const { ledger } = await openTestLedger(t)
    const { address, folder, server } = await startTemporal(t)
    const service = runExecution(t, {
      ledger,
      address: () => address,
      fate: async ({ assetId }) =>
        assetId === 'bad' ? 'failed' : assetId === 'odd' ? 'indeterminate' : 'done',
    })

    const failed = await ended(
      ledger,
      await recordProposal(ledger, { assetIds: ['good', 'bad', 'never'] }),
    )
    t.match(failed, {
      status: 'failed',
      ended: { code: 'mutation-failed', message: 'secret words' },
    })
    t.notOk(service.control.calls.includes('mutate never'), 'it stops at the first failure')
    const odd = await ended(ledger, await recordProposal(ledger, { assetIds: ['odd'] }))
    t.equal(odd.status, 'completed', 'an unknown outcome was resolved by looking at the asset')
    t.strictSame(await typesOn(ledger, 'asset-odd'), [
      'asset.mutation-intended',
      'asset.mutation-indeterminate',
      'asset.resolved',
    ])
    await service.close()

    const denying = runExecution(t, {
      ledger,
      address: () => address,
      decision: {
        ...allowed,
        outcome: 'deny',
        reasons: [{ code: 'forbidden', message: 'secret words' }],
      },
    })
    const denied = await ended(ledger, await recordProposal(ledger))
    t.match(denied, { status: 'failed', ended: { code: 'policy-denied' } })
    t.strictSame(
      denying.control.calls.filter((call) => call.startsWith('mutate')),
      [],
    )
    await denying.close()
    await server.close()
    for (const file of readdirSync(folder))
      t.notOk(readFileSync(join(folder, file)).includes('secret words'), file)
  },
)

t.test(
  'Temporal down, killed or with its store lost: proposals wait, none is lost, each ends once',
  { skip },
  async (t) => {
    const { ledger } = await openTestLedger(t)
    const there: { address?: string } = {}
    let release = () => {}
    const held = new Promise<void>((done) => (release = done))
    const { execution, close } = runExecution(t, {
      ledger,
      address: () => there.address,
      fate: async ({ assetId, attempt }) => {
        if (assetId === 'slow' && attempt === 1) await held
        return 'done'
      },
    })
    const early = await recordProposal(ledger, { assetIds: ['early'] })
    t.equal((await proposalOf(ledger, early))?.status, 'enqueued')
    t.not(execution.status().status, 'ok')

    const first = await startTemporal(t)
    there.address = first.address
    t.equal((await ended(ledger, early)).status, 'completed')

    const slow = await recordProposal(ledger, { assetIds: ['slow'] })
    await eventually('the mutation being under way', async () =>
      (await typesOn(ledger, 'asset-slow')).length > 0 ? true : undefined,
    )
    await first.server.close()
    for (const file of readdirSync(first.folder)) rmSync(join(first.folder, file))
    await eventually('the outage being seen', () =>
      execution.status().status === 'down' ? true : undefined,
    )
    const late = await recordProposal(ledger, { assetIds: ['late'] })
    release()

    const second = await startTemporal(t, {
      folder: first.folder,
      port: Number(first.address.split(':')[1]),
    })
    t.equal(second.address, first.address)
    t.equal((await ended(ledger, late, 60_000)).status, 'completed')
    t.equal((await ended(ledger, slow, 60_000)).status, 'completed')
    t.strictSame(await typesOn(ledger, 'asset-slow'), ['asset.mutation-intended', 'asset.mutated'])
    t.equal(
      (await typesOn(ledger, `proposal-${slow}`)).filter((type) => type === 'proposal.completed')
        .length,
      1,
    )

    const began = Date.now()
    await close()
    t.ok(Date.now() - began < 3_500, `the stop took ${Date.now() - began} ms`)
  },
)

t.test(
  'a workflow that is terminated or cancelled still ends on the ledger, once, its mutation resolved',
  { skip },
  async (t) => {
    const { ledger } = await openTestLedger(t)
    const { address } = await startTemporal(t)
    const { execution, control } = runExecution(t, {
      ledger,
      address: () => address,
      fate: async ({ signal }) => {
        await new Promise<void>((done) =>
          signal.addEventListener('abort', () => done(), { once: true }),
        )
        return 'nothing'
      },
    })
    const ends: { how: string; id: string; code: string }[] = []
    for (const [how, code] of [
      ['terminated', 'workflow-terminated'],
      ['cancelled', 'workflow-cancelled'],
    ] as const) {
      const id = await recordProposal(ledger, { assetIds: [how] })
      await eventually('the mutation being under way', () =>
        control.calls.includes(`mutate ${how}`) ? true : undefined,
      )
      const handle = execution.client()?.workflow.getHandle(id)
      await (how === 'terminated' ? handle?.terminate('the test ends it') : handle?.cancel())
      ends.push({ how, id, code })
    }
    for (const { how, id, code } of ends) {
      t.match(await ended(ledger, id, 40_000), { status: 'failed', ended: { code } }, how)
      await workflowEnded(ledger, id)
      t.strictSame(
        await typesOn(ledger, `asset-${how}`),
        ['asset.mutation-intended', 'asset.resolved'],
        how,
      )
      const types = await typesOn(ledger, `proposal-${id}`)
      t.equal(types.filter((type) => type === proposalFailed.type).length, 1, how)
    }
  },
)

t.test('a proposal that nobody decided expires', { skip }, async (t) => {
  const { ledger } = await openTestLedger(t)
  const { address } = await startTemporal(t)
  runExecution(t, { ledger, address: () => address })

  const waiting = await recordProposal(ledger, { waits: true })
  const late = await recordProposal(ledger, { waits: true, expiresAt: '2020-01-01T00:00:00.000Z' })

  t.equal((await ended(ledger, late)).status, 'expired')
  t.equal((await proposalOf(ledger, waiting))?.status, 'awaiting-approval')
  t.equal(
    (await typesOn(ledger, `proposal-${late}`)).filter((type) => type === 'proposal.expired')
      .length,
    1,
  )
})

t.test(
  'a stop in the middle of a mutation leaves its outcome to the next start',
  { skip },
  async (t) => {
    const { ledger } = await openTestLedger(t)
    const { address } = await startTemporal(t)
    const stopped = runExecution(t, {
      ledger,
      address: () => address,
      fate: async ({ signal }) => {
        await new Promise<void>((done) =>
          signal.addEventListener('abort', () => done(), { once: true }),
        )
        // What an attempt says when it is interrupted by a stop must not stand on the ledger.
        return 'failed'
      },
    })
    const id = await recordProposal(ledger, { assetIds: ['web-01'] })
    await eventually('the mutation being under way', () =>
      stopped.control.calls.includes('mutate web-01') ? true : undefined,
    )
    await stopped.close()
    t.strictSame(await typesOn(ledger, 'asset-web-01'), ['asset.mutation-intended'])

    runExecution(t, { ledger, address: () => address })
    t.equal((await ended(ledger, id)).status, 'completed')
    t.strictSame(await typesOn(ledger, 'asset-web-01'), [
      'asset.mutation-intended',
      'asset.mutated',
    ])
  },
)
