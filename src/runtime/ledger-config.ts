import { resolve } from 'node:path'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'

const path = z.string().min(1).max(4096)
const clusterForm = /^(esdb|kurrentdb)(\+discover)?:\/\/[^\s/]+(\/?\?\S*)?\/?$/

/** What can be set about where the ledger stands, by the name it has in the configuration file. */
export const ledgerSettings = {
  ledger: z
    .string()
    .max(4096)
    .refine(
      (text) => text === 'file:' || clusterForm.test(text),
      'must be file: for the embedded engine in the data folder, or esdb://… or kurrentdb://… of a cluster',
    ),
  ledger_credentials: path,
}
type Settings = {
  readonly [Name in keyof typeof ledgerSettings]?:
    z.infer<(typeof ledgerSettings)[Name]> | undefined
}

export const ledgerVariables = {
  FRACTALOPS_LEDGER: 'ledger',
  FRACTALOPS_LEDGER_CREDENTIALS: 'ledger_credentials',
} as const satisfies Record<string, keyof Settings>

/** A cluster of EventStoreDB or KurrentDB, or what speaks like one. */
export interface ClusterPlace {
  readonly kind: 'cluster'
  /** The connection string as it was given. */
  readonly connection: string
  /** File that holds `name:password`; undefined = what the connection string says. */
  readonly credentials: string | undefined
}

/** Where the events of the ledger stand. */
export type LedgerPlace = { readonly kind: 'embedded' } | ClusterPlace

/** Whether a connection string carries a name and password. */
export const carriesCredentials = (connection: string): boolean => /:\/\/[^/?]*@/.test(connection)

export function ledgerPlace(chosen: Settings, cwd: string, problems: string[]): LedgerPlace {
  const { ledger = 'file:', ledger_credentials: credentials } = chosen
  if (ledger === 'file:') {
    if (credentials !== undefined)
      problems.push('FRACTALOPS_LEDGER_CREDENTIALS needs FRACTALOPS_LEDGER to name a cluster')
    return { kind: 'embedded' }
  }
  if (credentials !== undefined && carriesCredentials(ledger))
    problems.push(
      'FRACTALOPS_LEDGER carries a name and password, and FRACTALOPS_LEDGER_CREDENTIALS names others',
    )
  return {
    kind: 'cluster',
    connection: ledger,
    credentials: credentials === undefined ? undefined : resolve(cwd, credentials),
  }
}

/** The connection string with a login, which is `name:password`. @throws EvidenceError CONFIGURATION_INVALID. */
export function withCredentials(connection: string, login: string): string {
  const colon = login.indexOf(':')
  if (colon < 1)
    throw new EvidenceError(
      'CONFIGURATION_INVALID',
      'FRACTALOPS_LEDGER_CREDENTIALS names a file that must hold name:password',
    )
  const name = encodeURIComponent(login.slice(0, colon))
  const password = encodeURIComponent(login.slice(colon + 1))
  return connection.replace('://', () => `://${name}:${password}@`)
}

/** The process that has the ledger, for one that has it not. */
export interface RemoteLedgerPlace {
  /** `host:port`. */
  readonly address: string
  /** Absolute path of the certificate by which that process is known. */
  readonly authorityFile: string
}

const remoteForm =
  /^esdb:\/\/((?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5})\/?\?tlsCAFile=([^&]+)$/

/**
 * Where a process without the component `ledger` finds it.
 * @throws EvidenceError CONFIGURATION_INVALID.
 */
export function remotePlace(
  ledger: LedgerPlace,
  components: readonly string[],
  cwd = '.',
): RemoteLedgerPlace {
  const [, address, authority] =
    ledger.kind === 'cluster' ? (remoteForm.exec(ledger.connection) ?? []) : []
  if (address !== undefined && authority !== undefined)
    return { address, authorityFile: resolve(cwd, decodeURIComponent(authority)) }
  throw new EvidenceError(
    'CONFIGURATION_INVALID',
    `a process of ${components.join(', ')} reaches the ledger of another one: FRACTALOPS_LEDGER must be esdb://HOST:PORT?tlsCAFile=FILE, with the keys/grpc-ca.crt of that one and without a password`,
  )
}
