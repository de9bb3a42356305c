import { randomUUID } from 'node:crypto'
import t from 'tap'
import { catalog } from '../../src/contracts/catalog.js'
import { reservedCategories } from '../../src/contracts/identifiers.js'
import { clientPackage, connectionTo, failureOf, openWithClient } from '../support/grpc.js'
import { collect } from '../support/ledger.js'

const lib = await clientPackage('@eventstore/db-client')

/** The data of an example as a client would have it. */
const jsonOf = (example: unknown) =>
  JSON.parse(JSON.stringify(example)) as Parameters<typeof lib.jsonEvent>[0]['data']

t.test(
  'no gRPC caller appends an event of an activity, whatever the token, and nothing is appended',
  async (t) => {
    const { grpc, client, connect, credentials } = await openWithClient(t, lib)
    const name = 'everybody'
    const token = await grpc.token(
      name,
      'proposer',
      'approver',
      'operator',
      'auditor',
      'workflow',
      'policy-admin',
    )
    const everybody = connect(connectionTo(grpc, { name, token }))
    const before = grpc.ledger.size()
    const refused = async (promise: Promise<unknown>, what: string) => {
      const error = await failureOf(promise)
      t.ok(error instanceof lib.AccessDeniedError, `${what}: ${String(error)}`)
    }

    for (const { type, category, writer, example } of catalog) {
      if (writer === 'recording' && category === 'evidence') continue
      const event = () => lib.jsonEvent({ type, data: jsonOf(example) })
      for (const stream of [`${category}-x`, 'order-1', 'evidence-x', '$$order-1']) {
        await refused(client.appendToStream(stream, event()), `${type} in a batch`)
        await refused(
          client.appendToStream(stream, event(), { credentials }),
          `${type} in a call of its own`,
        )
        await refused(everybody.appendToStream(stream, event()), `${type} with every role`)
      }
    }

    t.equal(grpc.ledger.size(), before, 'nothing was appended')
  },
)

t.test('the reserved categories take no event of a client’s own type', async (t) => {
  const { grpc, client } = await openWithClient(t, lib)
  const before = grpc.ledger.size()

  for (const category of [...reservedCategories, '$system']) {
    for (const stream of [`${category}-x`, category]) {
      const event = lib.jsonEvent({ type: 'anything', data: {} })
      await failureOf(client.appendToStream(stream, event))
      await failureOf(client.appendToStream(stream, []))
    }
  }

  t.equal(grpc.ledger.size(), before)
})

t.test(
  'facts about evidence are recorded by their contract, with the bytes that were sent',
  async (t) => {
    const { grpc, client } = await openWithClient(t, lib)
    const data = { size: 1, media_type: 'text/plain', sha256: 'a'.repeat(64) }
    const evidence = (fields: object = {}) =>
      lib.jsonEvent({
        id: randomUUID(),
        type: 'evidence.recorded',
        data: { ...data, ...fields },
        metadata: { by: 'hand' },
      })
    const event = evidence()

    await client.appendToStream('evidence-case-1', event, { expectedRevision: lib.NO_STREAM })

    const stored = await grpc.ledger.find(event.id)
    t.match(stored?.leaf, { writer: 'recording', version: '1', stream: 'evidence-case-1' })
    t.equal(Buffer.from(stored?.data?.bytes ?? []).toString(), JSON.stringify(data))
    t.equal(Buffer.from(stored?.metadata?.bytes ?? []).toString(), '{"by":"hand"}')
    const before = grpc.ledger.size()
    for (const [stream, events] of [
      ['evidence-case-1', [evidence({ size: 'much' })]],
      ['evidence-case-1', [evidence({ more: 1 })]],
      ['order-1', [evidence()]],
      ['asset-x', [evidence()]],
      ['evidence-case-1', [evidence(), lib.jsonEvent({ type: 'other', data: {} })]],
      [
        'evidence-case-1',
        [lib.binaryEvent({ type: 'evidence.recorded', data: Buffer.from('{}') })],
      ],
    ] as const)
      await failureOf(client.appendToStream(stream, [...events]))
    t.equal(grpc.ledger.size(), before, 'what does not fit the contract is refused')
    t.equal((await collect(client.readStream('evidence-case-1'))).length, 1)
  },
)
