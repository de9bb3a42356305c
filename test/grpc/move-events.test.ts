import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { openEsdbMovable } from '../../src/ledger/adapters/esdb-movable.js'
import type { AllPosition } from '../../src/ledger/all-position.js'
import type { MovableStore, MoveRun } from '../../src/ledger/movable-store.js'
import { eventBefore, instantText, type MovedEvent } from '../../src/ledger/moved-event.js'
import { eventView } from '../../src/runtime/event-view.js'
import { compareMove, type Move, moveEvents } from '../../src/runtime/move-events.js'
import { connectionTo, openTestGrpc, type TestGrpc } from '../support/grpc.js'
import { collect } from '../support/ledger.js'

const utf8 = (text: string) => Buffer.from(text)

async function openStore(t: Test): Promise<{ grpc: TestGrpc; store: MovableStore }> {
  const grpc = await openTestGrpc(t)
  const store = await openEsdbMovable(
    connectionTo(grpc, { name: 'administrator', token: grpc.admin }),
  )
  t.teardown(() => store.close())
  return { grpc, store }
}

const eventOf = (facts: Partial<MoveRun['events'][number]> = {}): MoveRun['events'][number] => ({
  id: randomUUID(),
  type: 'order.placed',
  contentType: 'application/json',
  data: utf8('{"amount": 1.0, "big": 9007199254740993}'),
  metadata: utf8('{ "who":"ada" }'),
  ...facts,
})

const append = (store: MovableStore, stream: string, ...events: MoveRun['events'][number][]) =>
  store.append({ stream, expected: 'any', events })

const signal = () => new AbortController().signal
const everyEvent = async (store: MovableStore) => collect(store.read(undefined, signal()))

/** Events of clients alone: the ledger's own are shown with "$". */
const ofClients = (events: readonly MovedEvent[]) =>
  events.filter(({ stream }) => !stream.startsWith('$') || stream.startsWith('$$'))

const silent = { progress: () => undefined, saved: async () => undefined }

async function openMove(t: Test, facts: Partial<Move> = {}) {
  const from = await openStore(t)
  const to = await openStore(t)
  const move: Move = {
    source: from.store,
    target: to.store,
    name: 'old',
    prefix: '',
    repeatedBy: 'ids',
    signal: signal(),
    ...facts,
  }
  return { from, to, move }
}

t.test('moved events keep id, order, time, metadata and every byte of their data', async (t) => {
  const { from, to, move } = await openMove(t)
  await append(from.store, 'order-1', eventOf(), eventOf({ metadata: utf8('') }))
  await append(
    from.store,
    'scan-7',
    eventOf({ contentType: 'application/octet-stream', data: Buffer.from([0, 255]) }),
  )
  from.grpc.clock.nowMs += 1_234
  await append(from.store, 'order-1', eventOf({ metadata: Buffer.from([1, 2, 3]) }))

  const counts = await moveEvents(move, undefined, silent)

  const before = ofClients(await everyEvent(from.store))
  const after = ofClients(await everyEvent(to.store))
  t.match(counts, { moved: 4, ended: 0, renamed: 0 })
  t.strictSame(
    after.map((event) => ({ ...eventBefore(event, 'old') })),
    before.map((event) => ({ ...event })),
  )
  const [shown] = await collect(
    to.grpc.ledger.readStream({ project: 'default', stream: 'order-1' }),
  )
  t.equal(
    shown && eventView(shown, 'here').time,
    instantText(before[0]?.created ?? 0n),
    'it occurred when it was recorded there',
  )
  t.strictSame(
    after.map(({ revision }) => revision),
    [0n, 1n, 0n, 2n],
  )
  const end = (await from.store.head()) as AllPosition
  const comparison = await compareMove(move, end, () => undefined)
  t.match(comparison, { sameEvents: true, sameOrder: true, source: { events: 4 } })
})

t.test('a move that is repeated from any place appends nothing twice', async (t) => {
  const { from, to, move } = await openMove(t)
  for (let i = 0; i < 40; i += 1) await append(from.store, `order-${i % 3}`, eventOf())
  const places: AllPosition[] = []
  await moveEvents(move, undefined, {
    progress: () => undefined,
    saved: async (place) => void places.push(place),
  })
  const size = (await everyEvent(to.store)).length

  for (const place of [undefined, ...places]) await moveEvents(move, place, silent)

  t.equal((await everyEvent(to.store)).length, size)
  t.ok(places.length > 1)
})

t.test('what a cut connection left open is found and not appended again', async (t) => {
  const { from, to, move } = await openMove(t)
  for (let i = 0; i < 30; i += 1) await append(from.store, `order-${i % 5}`, eventOf())
  const cut = await openEsdbMovable(
    connectionTo(to.grpc, { name: 'administrator', token: to.grpc.admin }),
  )
  let saved: AllPosition | undefined
  let runs = 0
  const failing: MovableStore = {
    ...cut,
    append(run) {
      runs += 1
      // The connection goes while appends are under way: some were taken, none of them is known to be.
      if (runs === 12) cut.close()
      return cut.append(run)
    },
  }
  await t.rejects(
    moveEvents({ ...move, target: failing }, undefined, {
      progress: () => undefined,
      saved: async (place) => void (saved = place),
    }),
    { code: 'EVENT_STORE_UNREACHABLE' },
  )

  await moveEvents(move, saved, silent)

  const moved = ofClients(await everyEvent(to.store)).map((event) => eventBefore(event, 'old')?.id)
  t.strictSame(
    moved,
    ofClients(await everyEvent(from.store)).map(({ id }) => id),
  )
})

t.test(
  'an id that another event of the ledger has becomes another one, and is kept beside it',
  async (t) => {
    const { from, to, move } = await openMove(t)
    const taken = eventOf()
    await append(to.store, 'elsewhere', { ...taken, data: utf8('{}') })
    await append(from.store, 'order-1', eventOf(), taken, eventOf())

    const counts = await moveEvents(move, undefined, silent)
    await moveEvents(move, undefined, silent)

    const moved = ofClients(await everyEvent(to.store)).flatMap(
      (event) => eventBefore(event, 'old') ?? [],
    )
    t.equal(counts.renamed, 1)
    t.equal(moved.length, 3)
    t.equal(moved[1]?.id, taken.id)
    const end = (await from.store.head()) as AllPosition
    t.match(await compareMove(move, end, () => undefined), { sameEvents: true })
  },
)

t.test('metadata of streams moves, and an ended stream is ended there too', async (t) => {
  const { from, to, move } = await openMove(t)
  await append(from.store, 'order-1', eventOf(), eventOf())
  await append(
    from.store,
    '$$order-1',
    eventOf({
      type: '$metadata',
      data: utf8('{"$maxCount":1,"$tb":9223372036854775807,"owner":"ada"}'),
      metadata: utf8(''),
    }),
  )
  await append(from.store, 'order-2', eventOf())
  await from.store.tombstone('order-2')

  const counts = await moveEvents(move, undefined, silent)
  await moveEvents(move, undefined, silent)

  t.match(counts, { moved: 4, ended: 1 })
  await t.rejects(append(to.store, 'order-2', eventOf()), { code: 'STREAM_DELETED' })
  t.match(await to.grpc.ledger.streamMetadata('default', 'order-1'), {
    metadata: { $maxCount: 1, owner: 'ada' },
  })
})

t.test('an event that cannot be taken is named, and what was before it is there', async (t) => {
  const { from, to, move } = await openMove(t)
  await append(from.store, 'order-1', eventOf())
  // Facts of a contract belong to the ledger that recorded them.
  const fact = { sha256: '0'.repeat(64), media_type: 'text/plain', size: 1 }
  await append(
    from.store,
    'evidence-door',
    eventOf({ type: 'evidence.recorded', data: utf8(JSON.stringify(fact)), metadata: utf8('{}') }),
  )
  const refused = await moveEvents({ ...move, prefix: 'was.' }, undefined, silent).catch(
    (error: unknown) => error,
  )
  t.match(refused, { message: /evidence\.recorded at revision 0 of evidence-door was not taken/ })
  t.strictSame(
    ofClients(await everyEvent(to.store)).map(({ stream }) => stream),
    ['was.order-1'],
  )
})

t.test('a stream that already holds other events is not exported into', async (t) => {
  const { from, to, move } = await openMove(t, { repeatedBy: 'revisions' })
  await append(from.store, 'order-1', eventOf(), eventOf())
  await moveEvents(move, undefined, silent)
  await moveEvents(move, undefined, silent)
  t.equal(ofClients(await everyEvent(to.store)).length, 2)

  await append(to.store, 'order-2', eventOf())
  await append(from.store, 'order-2', eventOf())
  await t.rejects(moveEvents(move, undefined, silent), { code: 'REVISION_CONFLICT' })
})

t.test('a comparison sees a missing and a changed event', async (t) => {
  const { from, to, move } = await openMove(t)
  await append(from.store, 'order-1', eventOf())
  await moveEvents(move, undefined, silent)
  await append(from.store, 'order-1', eventOf())
  const end = (await from.store.head()) as AllPosition
  t.match(await compareMove(move, end, () => undefined), {
    sameEvents: false,
    source: { events: 2 },
    target: { events: 1 },
  })
  t.equal(ofClients(await everyEvent(to.store)).length, 1)
})

t.test('a connection string that is malformed is refused by what is wrong with it', async (t) => {
  for (const [text, detail] of [
    ['http://localhost', /no esdb:/],
    ['esdb://a:1,b:2', /one server/],
    ['esdb+discover://a:1', /one server/],
    ['esdb://?tls=true', /no esdb:/],
    ['esdb://localhost?tls=maybe', /tls/],
    ['esdb://localhost?tsl=true', /unknown parameter tsl/],
    ['esdb://localhost?tlsCAFile=/nowhere', /tlsCAFile/],
  ] as const)
    await t.rejects(openEsdbMovable(text), { code: 'CONNECTION_STRING_INVALID', message: detail })
})
