import type { Test } from 'tap'
import { connectionTo, openTestGrpc } from '../../support/grpc.js'
import { type ForeignLanguage, requireClient, runClient } from '../../support/foreign-client.js'
import { collect } from '../../support/ledger.js'

/** What the client of every language sees when it does the same things to our server. */
const everyClientSees: Readonly<Record<string, unknown>> = {
  appends: {
    revisions: [0, 1, 2, 3, 4],
    none: 'wrong-expected-version',
    noneSingle: 'wrong-expected-version',
    exact: 'wrong-expected-version',
    exists: 'wrong-expected-version',
    many: 500,
  },
  reads: {
    forwards: [0, 1, 2, 3, 4],
    backwards: [4, 3, 2, 1, 0],
    from: [1, 2],
    before: [2, 1],
    data: '{"n":3}',
    metadata: '{"by":"hand"}',
    contentType: 'application/json',
    binary: [0, 255, 7],
    binaryType: 'application/octet-stream',
    // The clock of the test stands still.
    time: Date.UTC(2026, 0, 1),
    all: [0, 1, 2, 3, 4],
    allBackwards: [4, 3, 2, 1, 0],
    allFrom: [2, 3, 4],
    missing: 'not-found',
  },
  refusals: {
    stranger: 'access-denied',
    reader: 'access-denied',
    readerSingle: 'access-denied',
    reserved: 'access-denied',
    groups: 'access-denied',
  },
  plain: { revisions: [0, 1] },
  subscriptions: {
    stream: [0, 1, 2, 'caught-up', 3],
    behind: [2, 3],
    all: [0, 1, 2, 3],
    checkpoint: true,
    resumed: [4],
    missed: false,
  },
  groups: {
    deliveries: ['0 acked', '1 acked', '1 retried', '2 parked', '3 acked'],
    parked: 1,
    replayed: 2,
    info: ['workers', 'groups', 'RoundRobin'],
    exists: 'exists',
    listed: [['workers', 'groups']],
    all: [0, 1, 2, 3],
    deleted: 'not-found',
    missing: 'not-found',
  },
  deletion: {
    conflict: 'wrong-expected-version',
    deleted: 'not-found',
    begunAgain: [2],
    read: 'stream-deleted',
    append: 'stream-deleted',
    appendSingle: 'stream-deleted',
    again: 'stream-deleted',
  },
  metadata: { none: true, maxCount: 2, owner: 'ada', shown: [3, 4] },
}

/** The client of a language, unmodified, over TLS with tokens, and once without TLS and credentials. */
export function foreignClient(t: Test, language: ForeignLanguage): void {
  void t.test(
    `the client for ${language} sees what every client sees`,
    { skip: requireClient(language) },
    async (t) => {
      const grpc = await openTestGrpc(t, {
        parts: { nameless: () => grpc.parts.identities.authenticate(writer.token) },
      })
      const writer = { name: 'ada', token: await grpc.token('ada', 'proposer') }
      const reader = { name: 'eve', token: await grpc.token('eve', 'auditor') }
      const stranger = { name: 'eve', token: 'no-token' }

      const scenarios = await runClient(language, [
        ...[writer, reader, stranger].map((caller) => connectionTo(grpc, caller)),
        `esdb://${grpc.address}?tls=false`,
      ])

      for (const [name, sees] of Object.entries(everyClientSees)) {
        const told = scenarios.find(({ scenario }) => scenario === name)
        t.equal(told?.failed, undefined, `${name} is done to the end`)
        t.strictSame(told?.seen, sees, name)
      }
      const appended = await collect(
        grpc.ledger.readStream({ project: 'default', stream: 'appends' }),
      )
      t.strictSame(
        appended.map(({ leaf }) => [leaf.writer, leaf.actor, leaf.type]),
        Array.from({ length: 5 }, () => ['client', 'ada', 'placed']),
        'what it appended stands on the ledger as its caller’s',
      )
    },
  )
}
