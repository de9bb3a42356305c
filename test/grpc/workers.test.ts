import { randomUUID } from 'node:crypto'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import t, { type Test } from 'tap'
import { catalog } from '../../src/contracts/catalog.js'
import type { EventContract } from '../../src/contracts/event.js'
import * as messages from '../../src/contracts/ledger-messages.js'
import { canonicalBytes } from '../../src/contracts/canonical-json.js'
import type { AppendRequest } from '../../src/ledger/event-store.js'
import * as wire from '../../src/ledger/ledger-wire.js'
import type { WorkerIdentity } from '../../src/runtime/adapters/worker-certificate.js'
import { collect, openTestLedger, wholeLog } from '../support/ledger.js'
import { openTestRemote, type TestRemote } from '../support/remote.js'

const attempt = { workflowId: 'w-1', activityId: '1', activityType: 'mutateAsset' }
const activityContracts = catalog.filter(({ writer }) => writer === 'activity')

/** An append of the example of a contract, as an attempt would send it. */
const appendOf = (
  contract: EventContract,
  change: Partial<AppendRequest> & { event?: Record<string, unknown> } = {},
): AppendRequest => {
  const { event, ...request } = change
  return {
    project: 'default',
    stream: `${contract.category}-x`,
    expected: 'any',
    attempt,
    events: [
      {
        id: randomUUID(),
        type: contract.type,
        version: contract.version,
        writer: contract.writer,
        actor: 'worker',
        contentType: 'application/json',
        data: canonicalBytes(contract.example),
        metadata: canonicalBytes({}),
        ...event,
      },
    ],
    ...request,
  }
}

/** Sends one append from outside, with whatever the caller has; answers "done" or the code of the refusal. */
function send(
  t: Test,
  { address, authority }: TestRemote,
  {
    identity,
    token,
    plain = false,
  }: { identity?: WorkerIdentity; token?: string; plain?: boolean },
) {
  const client = new Client(
    address,
    plain
      ? credentials.createInsecure()
      : identity === undefined
        ? credentials.createSsl(Buffer.from(authority))
        : credentials.createSsl(
            Buffer.from(authority),
            Buffer.from(identity.key),
            Buffer.from(identity.certificate),
          ),
    plain ? {} : { 'grpc.ssl_target_name_override': 'localhost' },
  )
  t.teardown(() => client.close())
  const metadata = new Metadata()
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`)
  return (request: AppendRequest): Promise<string> =>
    new Promise((resolve) => {
      const call = client.makeClientStreamRequest(
        messages.ledgerMethod('Append'),
        (part: messages.AppendPart) => messages.AppendPart.encode(part),
        (bytes: Buffer) => messages.AppendAnswer.decode(bytes),
        metadata,
        {},
        (error) => {
          const told = error?.metadata.get(wire.errorTrailer)[0]?.toString()
          resolve(
            error === null
              ? 'done'
              : (wire.errorOf(told ?? '')?.code ?? `${error.code} ${error.details}`),
          )
        },
      )
      call.on('error', () => undefined)
      for (const part of wire.appendParts([request])) call.write(part)
      call.end()
    })
}

t.test(
  'nobody but an enrolled worker appends events of activities, whatever else they have',
  async (t) => {
    const { ledger } = await openTestLedger(t)
    const remote = await openTestRemote(t, { ledger })
    const [stranger, revoked, expired, elsewhere, shop] = [
      await remote.identity(),
      await remote.identity(),
      await remote.identity(),
      await remote.identity(),
      await remote.identity(),
    ]
    const both = ['worker', 'execution-runtime'] as const
    await remote.enrol(revoked, both, { name: 'revoked' })
    await remote.revoke(revoked, 'revoked')
    await remote.enrol(expired, both, { name: 'expired', expiresAt: '2020-01-01T00:00:00.000Z' })
    await remote.enrol(elsewhere, ['api', 'projector', 'warehouse'], { name: 'elsewhere' })
    await remote.enrol(shop, both, { name: 'shop', project: 'shop' })
    const before = ledger.size()
    const callers = {
      'no certificate': {},
      'no TLS': { plain: true },
      'a token and no certificate': { token: 'fol_administrator' },
      'a certificate that is not enrolled': { identity: stranger },
      'a certificate that is not enrolled, and a token': { identity: stranger, token: 'fol_x' },
      'a revoked worker': { identity: revoked },
      'a worker beyond its term': { identity: expired },
      'a worker of other components': { identity: elsewhere },
      'a worker of another project': { identity: shop },
    }

    for (const [who, has] of Object.entries(callers)) {
      const append = send(t, remote, has)
      for (const contract of activityContracts)
        t.equal(await append(appendOf(contract)), 'WORKER_REFUSED', `${who}: ${contract.type}`)
    }

    t.equal(ledger.size(), before, 'nothing was appended')
  },
)

t.test(
  'an enrolled worker appends what its components may say, in an attempt, and nothing else',
  async (t) => {
    const { ledger } = await openTestLedger(t)
    const remote = await openTestRemote(t, { ledger })
    const [worker, runtime] = [await remote.identity(), await remote.identity()]
    await remote.enrol(worker, ['worker'], { name: 'worker-1' })
    await remote.enrol(runtime, ['execution-runtime'], { name: 'runtime-1' })
    const asWorker = send(t, remote, { identity: worker })
    const asRuntime = send(t, remote, { identity: runtime })
    const isAsset = ({ category }: EventContract) => category === 'asset'
    const isOfRuntime = ({ category }: EventContract) =>
      ['asset', 'evidence', 'workflow'].includes(category)

    for (const contract of activityContracts) {
      const { type } = contract
      const [ofWorker, ofRuntime] = [!isAsset(contract), isOfRuntime(contract)]
      t.equal(await asWorker(appendOf(contract)), ofWorker ? 'done' : 'WORKER_REFUSED', type)
      t.equal(await asRuntime(appendOf(contract)), ofRuntime ? 'done' : 'WORKER_REFUSED', type)
    }

    const before = ledger.size()
    const started = activityContracts.find(({ type }) => type === 'workflow.started')
    const enqueued = catalog.find(({ type }) => type === 'proposal.enqueued')
    if (started === undefined || enqueued === undefined) throw new Error('the contracts are gone')
    const { attempt: _, ...outside } = appendOf(started)
    const refused: readonly (readonly [AppendRequest, string])[] = [
      [outside, 'WORKER_REFUSED'],
      [appendOf(started, { attempt: { ...attempt, workflowId: '' } }), 'WORKER_REFUSED'],
      [appendOf(started, { event: { actor: 'ada' } }), 'WORKER_REFUSED'],
      [appendOf(started, { event: { writer: 'recording' } }), 'WRITER_REFUSED'],
      [appendOf(started, { event: { writer: 'ledger' } }), 'WRITER_REFUSED'],
      [appendOf(started, { event: { writer: 'client' } }), 'WORKER_REFUSED'],
      [appendOf(started, { stream: 'asset-x' }), 'STREAM_INVALID'],
      [appendOf(started, { stream: 'order-1' }), 'STREAM_INVALID'],
      [appendOf(started, { event: { version: '2' } }), 'EVENT_VERSION_UNKNOWN'],
      [appendOf(started, { event: { contentType: 'application/octet-stream' } }), 'EVENT_INVALID'],
      [appendOf(started, { event: { data: canonicalBytes({ who: 'x' }) } }), 'EVENT_INVALID'],
      [appendOf(started, { event: { type: 'workflow.unheard-of' } }), 'EVENT_TYPE_UNKNOWN'],
      [appendOf(enqueued, { event: { writer: 'activity' } }), 'WRITER_REFUSED'],
    ]
    for (const [request, code] of refused) t.equal(await asWorker(request), code)
    for (const { category, type, ...rest } of catalog.filter(({ writer }) => writer === 'ledger'))
      t.equal(await asWorker(appendOf({ category, type, ...rest })), 'WORKER_REFUSED', type)
    t.equal(await asRuntime(appendOf(enqueued)), 'WORKER_REFUSED', 'it records nothing')
    t.equal(ledger.size(), before, 'nothing more was appended')
    t.equal(await asWorker(appendOf(enqueued)), 'done', 'the worker moves proposals on')
  },
)

t.test('a worker is shut out at once, also from what it listens to', async (t) => {
  const { ledger } = await openTestLedger(t)
  const remote = await openTestRemote(t, { ledger })
  const identity = await remote.identity()
  await remote.enrol(identity, ['worker'])
  const append = send(t, remote, { identity })
  const store = await remote.open(identity)
  const listening = collect(
    store.subscribe({ from: 0, signal: new AbortController().signal }),
  ).then(
    () => undefined,
    (error: unknown) => error,
  )
  t.equal(await append(appendOf(activityContracts[0] as EventContract)), 'done')

  await remote.revoke(identity)

  t.equal(await append(appendOf(activityContracts[0] as EventContract)), 'WORKER_REFUSED')
  await t.rejects(store.find(randomUUID()), { code: 'WORKER_REFUSED' })
  t.match(await listening, { code: 'WORKER_REFUSED' })
  await t.rejects(collect(store.readLog()), { code: 'WORKER_REFUSED' })
})

t.test('a certificate out of its term is none', async (t) => {
  const { ledger } = await openTestLedger(t)
  const remote = await openTestRemote(t, { ledger })
  const identity = await remote.identity()
  await remote.enrol(identity, ['worker'])
  const append = send(t, remote, { identity })
  t.equal(await append(appendOf(activityContracts[0] as EventContract)), 'done')

  remote.clock.nowMs += 20 * 365 * 24 * 3_600_000

  t.equal(await append(appendOf(activityContracts[0] as EventContract)), 'WORKER_REFUSED')
})

t.test(
  'the ledger going away and coming back loses nothing and appends nothing twice',
  async (t) => {
    const { ledger } = await openTestLedger(t)
    const remote = await openTestRemote(t, { ledger })
    const identity = await remote.identity()
    await remote.enrol(identity, ['api'])
    const store = await remote.open(identity)
    const ending = new AbortController()
    const seen: number[] = []
    const listening = (async () => {
      for await (const delivery of store.subscribe({ from: 0, signal: ending.signal }))
        if (delivery.kind === 'event') seen.push(delivery.event.position)
    })()
    const ids = Array.from({ length: 40 }, () => randomUUID())
    const append = (id: string) =>
      store.append({
        project: 'default',
        stream: 'order-1',
        expected: 'any',
        events: [
          {
            id,
            type: 'order.placed',
            version: '0',
            writer: 'client',
            actor: 'ada',
            contentType: 'application/json',
            data: canonicalBytes({ id }),
            metadata: canonicalBytes({}),
          },
        ],
      })

    const first = ids.slice(0, 20).map(append)
    await first[0]
    await remote.stop()
    await remote.start()
    await Promise.all(first)
    await Promise.all(ids.slice(20).map(append))
    await remote.stop()
    await t.rejects(store.find(ids[0] ?? ''), { code: 'LEDGER_UNREACHABLE' })
    t.match(store.readOnly(), { code: 'LEDGER_UNREACHABLE' })
    await remote.start()
    const last = await append(randomUUID())

    const log = await wholeLog(ledger)
    t.equal(log.filter(({ leaf }) => leaf.stream === 'order-1').length, 41)
    while (seen.length < log.length) await new Promise((turn) => setImmediate(turn))
    ending.abort()
    await listening
    t.strictSame(
      seen,
      log.map(({ position }) => position),
      'each was delivered once, in order',
    )
    t.equal(last[0]?.position, log.length - 1)
  },
)
