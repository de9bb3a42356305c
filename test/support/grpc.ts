import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { EventStoreDBClient } from '@eventstore/db-client'
import type { Test } from 'tap'
import type { GrpcParts } from '../../src/api/grpc/parts.js'
import { type GrpcServer, startGrpcServer } from '../../src/api/grpc/server.js'
import { openGroupFiles } from '../../src/runtime/adapters/group-files.js'
import { authorityFile, ownTlsFiles } from '../../src/runtime/adapters/tls-certificate.js'
import { openTestApi, type TestApi } from './api.js'
import { temporaryFolder } from './ledger.js'

/** The real gRPC server over a real ledger, on a free port of loopback, with TLS and without. */
export interface TestGrpc extends TestApi {
  readonly server: GrpcServer
  readonly address: string
  /** The certificate that clients know the server by. */
  readonly authority: string
  /** Ends this server and starts another one on the same port. */
  restart(): Promise<void>
}

export interface GrpcOptions {
  readonly parts?: Partial<GrpcParts>
  readonly api?: Parameters<typeof openTestApi>[1]
}

export const silentLog = { info: () => {}, warn: () => {}, error: () => {} }

export async function openTestGrpc(t: Test, options: GrpcOptions = {}): Promise<TestGrpc> {
  const api = await openTestApi(t, options.api)
  const folder = await temporaryFolder(t)
  const tls = await ownTlsFiles(folder, '127.0.0.1', Date.now())
  const { ledger, identities, recorder, clients } = api.parts
  const parts: GrpcParts = {
    ledger,
    identities,
    recorder,
    clients,
    groups: openGroupFiles(join(folder, 'subscriptions')),
    now: () => Date.now(),
    newId: randomUUID,
    log: silentLog,
    ...options.parts,
  }
  let server = await startGrpcServer(parts, { host: '127.0.0.1', port: 0, tls })
  t.teardown(() => server.close())
  const { host, port } = server
  return {
    ...api,
    server,
    address: `${host}:${port}`,
    authority: join(folder, authorityFile),
    async restart() {
      await server.close()
      server = await startGrpcServer(parts, { host, port, tls })
    },
  }
}

export interface Credentials {
  readonly name: string
  readonly token: string
}

/** The official Node client of EventStoreDB, or that of KurrentDB, which has the same members by now. */
export type ClientPackage = typeof import('@eventstore/db-client')
export type Client = EventStoreDBClient

/**
 * Loads one of the two packages, unmodified. Both register their messages under one global name, so that a
 * process can hold one of them only: each has a test file of its own.
 */
export async function clientPackage(
  name: '@eventstore/db-client' | '@kurrent/kurrentdb-client',
): Promise<ClientPackage & { readonly connect: (connection: string) => Client }> {
  const loaded = (await import(name)) as ClientPackage & {
    readonly KurrentDBClient?: ClientPackage['EventStoreDBClient']
  }
  const { KurrentDBClient: Newer = loaded.EventStoreDBClient } = loaded
  return { ...loaded, connect: (connection) => Newer.connectionString(connection) }
}
export type LoadedClient = Awaited<ReturnType<typeof clientPackage>>

/** The connection string of a caller, over TLS. */
export const connectionTo = (
  { address, authority }: Pick<TestGrpc, 'address' | 'authority'>,
  { name, token }: Credentials,
): string => `esdb://${name}:${token}@${address}?tls=true&tlsCAFile=${authority}`

/** What a promise is rejected with; the test fails when it is not. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  if ('error' in outcome) return outcome.error
  throw new Error('nothing failed')
}

/** A server and a client of the administrator. */
export async function openWithClient(t: Test, lib: LoadedClient, options?: GrpcOptions) {
  const grpc = await openTestGrpc(t, options)
  const connect = (connection: string) => {
    const client = lib.connect(connection)
    t.teardown(() => client.dispose())
    return client
  }
  const credentials = { username: 'administrator', password: grpc.admin }
  const client = connect(connectionTo(grpc, { name: 'administrator', token: grpc.admin }))
  return { grpc, client, connect, credentials }
}
