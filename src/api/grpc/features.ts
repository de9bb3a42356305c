import { ledgerRpcName } from '../../contracts/ledger-messages.js'
import type { GrpcParts } from './parts.js'
import { ClusterInfo, Empty, SupportedMethods } from './messages.js'
import { type Method, unary } from './rpc.js'
import { uuidOf } from './stored-messages.js'

/** The version whose behaviour is offered; clients choose by it what they ask for. */
export const serverVersion = '26.1.0'

const streams = 'event_store.client.streams.streams'
const groups = 'event_store.client.persistent_subscriptions.persistentsubscriptions'
const records = 'kurrentdb.protocol.v2.streams.streamsservice'
const supported = [
  ['read', streams, ['position', 'events']],
  ['append', streams, []],
  ['batchappend', streams, ['deadline_duration']],
  ['delete', streams, []],
  ['tombstone', streams, []],
  ...[
    'create',
    'update',
    'delete',
    'read',
    'getinfo',
    'replayparked',
    'list',
    'restartsubsystem',
  ].map((method) => [method, groups, ['stream', 'all']] as const),
] as const

/** Offered where appends to several streams are together or not at all. */
const together = [
  ['appendsession', records, []],
  ['appendrecords', records, []],
] as const

/** By this a process that is no mere client knows that the peer is a ledger of ours, which sequences itself. */
const own = [['append', ledgerRpcName.toLowerCase(), []]] as const

/** `VNodeState.Leader`. */
const leaderState = 8

/** What this server offers, and that it stands alone. Anybody may ask: clients do before they sign in. */
export const features = (
  { ledger, newId, now, remote }: Pick<GrpcParts, 'ledger' | 'newId' | 'now' | 'remote'>,
  address: () => { readonly host: string; readonly port: number },
): readonly Method[] => {
  const instance = newId()
  return [
    unary(
      '/event_store.client.server_features.ServerFeatures/GetSupportedMethods',
      Empty,
      SupportedMethods,
      async () => ({
        version: serverVersion,
        methods: [
          ...supported,
          ...(ledger.capabilities.multiStreamAtomic ? together : []),
          ...(remote === undefined ? [] : own),
        ].map(([methodName, serviceName, names]) => ({
          methodName,
          serviceName,
          features: names,
        })),
      }),
    ),
    unary(
      '/event_store.client.gossip.Gossip/Read',
      Empty,
      ClusterInfo,
      async (_, { host: asked }) => {
        const { host, port } = addressOf(asked) ?? address()
        return {
          members: [
            {
              instanceId: uuidOf(instance, false),
              timeStamp: now() * 10_000,
              state: leaderState,
              isAlive: true,
              httpEndPoint: { address: host, port },
            },
          ],
        }
      },
    ),
  ]
}

/** The address under which the client reached this server: others may not reach it by the one it listens on. */
function addressOf(asked: string): { readonly host: string; readonly port: number } | undefined {
  const [, bracketed, plain, port] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(asked) ?? []
  const host = bracketed ?? plain
  return host === undefined ? undefined : { host, port: Number(port) }
}
