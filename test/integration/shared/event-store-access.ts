import type { Test } from 'tap'
import {
  connectionTo,
  failureOf,
  type LoadedClient,
  openWithClient,
  type TestGrpc,
} from '../../support/grpc.js'
import { collect } from '../../support/ledger.js'
import { eventsOf } from './event-store-client.js'

type Connect = Awaited<ReturnType<typeof openWithClient>>['connect']

/** What access lists let official clients do, and as whom these may come. */
export function accessByClient(t: Test, lib: LoadedClient): void {
  obeyingLists(t, lib)
  signingIn(t, lib)
}

const clientsOf = async (grpc: TestGrpc, connect: Connect) => {
  const of = async (name: string, ...access: Parameters<typeof grpc.token>[1][]) =>
    connect(connectionTo(grpc, { name, token: await grpc.token(name, ...access) }))
  return {
    ada: await of('ada', 'proposer'),
    bob: await of('bob', 'proposer'),
    grace: await of('grace', 'auditor'),
  }
}

function obeyingLists(t: Test, lib: LoadedClient): void {
  const { placed } = eventsOf(lib)
  const isDenied = async (t: Test, promise: Promise<unknown>, what: string) => {
    const error = await failureOf(promise)
    t.ok(error instanceof lib.AccessDeniedError, `${what}: ${String(error)}`)
  }
  const only = 'ada'
  const acl = {
    readRoles: [only],
    writeRoles: [only],
    deleteRoles: [only],
    metaReadRoles: [only],
    metaWriteRoles: [only],
  }

  void t.test('an access list is for whom it names, and the administrator', async (t) => {
    const { grpc, client, connect } = await openWithClient(t, lib)
    const { ada, bob } = await clientsOf(grpc, connect)
    await ada.appendToStream('order-1', placed(1))
    await ada.setStreamMetadata('order-1', { acl })
    const group = lib.persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: lib.START })
    await ada.createPersistentSubscriptionToStream('order-1', 'workers', group)
    const before = grpc.ledger.size()

    const refused: Readonly<Record<string, () => Promise<unknown>>> = {
      reading: () => collect(bob.readStream('order-1')),
      following: () => collect(bob.subscribeToStream('order-1')),
      consuming: () => collect(bob.subscribeToPersistentSubscriptionToStream('order-1', 'workers')),
      appending: () => bob.appendToStream('order-1', placed(2)),
      deleting: () => bob.deleteStream('order-1'),
      ending: () => bob.tombstoneStream('order-1'),
      'reading its metadata': () => bob.getStreamMetadata('order-1'),
      'changing its metadata': () => bob.setStreamMetadata('order-1', {}),
    }
    for (const [what, attempt] of Object.entries(refused)) await isDenied(t, attempt(), what)
    t.equal(grpc.ledger.size(), before, 'nothing was recorded')

    for (const allowed of [ada, client]) {
      await allowed.appendToStream('order-1', placed(3))
      t.ok((await collect(allowed.readStream('order-1'))).length > 1)
      t.match((await allowed.getStreamMetadata('order-1')).metadata, { acl })
    }
    await ada.deleteStream('order-1')
  })

  void t.test('an auditor reads whatever an access list says, and changes nothing', async (t) => {
    const { grpc, connect } = await openWithClient(t, lib)
    const { ada, grace } = await clientsOf(grpc, connect)
    await ada.appendToStream('order-1', placed(1))
    await ada.setStreamMetadata('order-1', { acl })

    t.equal((await collect(grace.readStream('order-1'))).length, 1)
    t.match((await grace.getStreamMetadata('order-1')).metadata, { acl })
    await isDenied(t, grace.appendToStream('order-1', placed(2)), 'appending')
  })

  void t.test('over HTTP the same lists count', async (t) => {
    const { grpc, connect } = await openWithClient(t, lib)
    const { ada } = await clientsOf(grpc, connect)
    await ada.appendToStream('order-1', placed(1))
    await ada.setStreamMetadata('order-1', { acl })
    const token = await grpc.token('eve', 'proposer')
    const at = '/v1/streams/order-1'

    const answers = [
      await grpc.send('GET', at, { token }),
      await grpc.send('GET', `${at}/metadata`, { token }),
      await grpc.send('PUT', `${at}/metadata`, { token, body: {} }),
    ]
    t.strictSame(
      answers.map(({ status }) => status),
      [403, 403, 403],
    )
    t.equal((await grpc.send('GET', at, { token: grpc.admin })).status, 200)
  })

  void t.test('what is no access list is refused', async (t) => {
    const { grpc, client } = await openWithClient(t, lib)
    const before = grpc.ledger.size()
    const malformed = [{ $acl: 'ada' }, { $acl: { $r: 7 } }, { $acl: { $w: [''] } }]

    for (const data of malformed) {
      const event = lib.jsonEvent({ type: '$metadata', data })
      await failureOf(client.appendToStream('$$order-1', event))
    }

    t.equal(grpc.ledger.size(), before)
  })
}

function signingIn(t: Test, lib: LoadedClient): void {
  const { placed } = eventsOf(lib)

  void t.test('the administrator may be called admin, and nobody else', async (t) => {
    const { grpc, connect } = await openWithClient(t, lib)
    const admin = connect(connectionTo(grpc, { name: 'admin', token: grpc.admin }))
    const event = placed(1)

    await admin.appendToStream('order-1', event)

    const stored = await grpc.ledger.find(event.id)
    t.equal(stored?.leaf.actor, 'administrator', 'the actor is the name of the token')
    const token = await grpc.token('ada', 'proposer')
    const other = connect(connectionTo(grpc, { name: 'admin', token }))
    t.ok(
      (await failureOf(other.appendToStream('order-1', placed(2)))) instanceof
        lib.AccessDeniedError,
    )
  })

  void t.test(
    'a user with a password has the rights of the token that it stands for',
    async (t) => {
      const opened = await openWithClient(t, lib, {
        parts: {
          users: async (user, password) =>
            user === 'ops' && password === 'changeit'
              ? opened.grpc.parts.identities.authenticate(opened.grpc.admin)
              : undefined,
        },
      })
      const { grpc, connect } = opened
      const ops = connect(connectionTo(grpc, { name: 'ops', token: 'changeit' }))
      const event = placed(1)

      await ops.appendToStream('order-1', event)

      t.equal((await grpc.ledger.find(event.id))?.leaf.actor, 'administrator')
      const wrong = connect(connectionTo(grpc, { name: 'ops', token: 'guessed' }))
      t.ok(
        (await failureOf(wrong.appendToStream('order-1', placed(2)))) instanceof
          lib.AccessDeniedError,
      )
    },
  )
}
