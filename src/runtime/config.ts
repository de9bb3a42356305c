import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parse } from 'yaml'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { ActorName } from '../contracts/identifiers.js'
import {
  carriesCredentials,
  type LedgerPlace,
  ledgerPlace,
  ledgerSettings,
  ledgerVariables,
} from './ledger-config.js'
import {
  witnessFlags,
  type Witnessing,
  witnessing,
  type WitnessPlace,
  witnessPlace,
  witnessSettings,
  witnessVariables,
} from './witness-config.js'
import type { VerifierRule } from './verifier.js'
import { verifierRule, verifySettings, verifyVariables } from './verify-config.js'

export const configFile = 'fractalops.config.yaml'
const configFileBytesMax = 65_536

/** The parts of which any subset runs in one process. */
export const components = [
  'ledger',
  'warehouse',
  'api',
  'worker',
  'execution-runtime',
  'projector',
  'witness',
] as const
export type Component = (typeof components)[number]

/** What runs when nothing is said: a witness in the same process vouches for little, so it is asked for. */
const defaultComponents = components.filter((name) => name !== 'witness')

export interface HostPort {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
}

/** A part that runs inside and listens, or one outside that is named by its address. */
export type Placed =
  | { readonly embedded: true; readonly listen: HostPort }
  | { readonly embedded: false; readonly address: string }

export interface Config {
  /** Absolute. */
  readonly data: string
  readonly ledger: LedgerPlace
  readonly http: HostPort
  readonly warehouse: Placed
  readonly temporal: Placed
  readonly grpc: HostPort & {
    /** PEM files of a certificate for the server and its key; undefined = it makes its own. */
    readonly tls: { readonly certificate: string; readonly key: string } | undefined
    /** Name of the token whose rights a call without credentials has; undefined = such calls are refused. */
    readonly nameless: string | undefined
    /** File of users who sign in with a password; undefined = nobody does. */
    readonly users: string | undefined
  }
  readonly components: readonly Component[]
  readonly installTemporal: boolean
  /** Folder of the policies of a ledger that this start creates; undefined = the one that is shipped. */
  readonly policies: string | undefined
  /** Name of a ledger that this start creates. */
  readonly origin: string | undefined
  /** Whether anybody may read the leaves, or only who has a token. */
  readonly tiles: 'public' | 'token'
  /** A ledger that this start creates takes raw leaves, for ever; an old one must have been created so. */
  readonly interoperability: boolean
  /** The witness that runs in this process. */
  readonly witness: (WitnessPlace & { readonly listen: HostPort }) | undefined
  readonly witnessing: Witnessing
  /** URL of the PostgreSQL that holds a table of live messages; undefined = none does. */
  readonly live: string | undefined
  /** When the ledger is read again in the background; undefined = never. */
  readonly verifier: VerifierRule | undefined
}

const hostPort = z.string().transform((text, context): HostPort => {
  const [, bracketed, plain, port] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port) > 65_535) {
    context.addIssue('must be HOST:PORT, for example 127.0.0.1:4680; port 0 takes any free one')
    return z.NEVER
  }
  return { host, port: Number(port) }
})

const path = z.string().min(1).max(4096)
const componentList = z
  .union([
    z.array(z.string()),
    z.string().transform((text) => text.split(',').map((name) => name.trim())),
  ])
  .pipe(z.array(z.enum(components, `must be of ${components.join(', ')}`)).min(1))
const outsideWarehouse = z
  .string()
  .regex(
    /^(https?:\/\/\S+|chdb:)$/,
    'must be http(s)://… of a ClickHouse, or chdb: for the embedded one',
  )
const outsideTemporal = z
  .string()
  .regex(/^[^\s:/]+:[0-9]{1,5}$/, 'must be host:port of a Temporal server')
const liveTable = z
  .string()
  .regex(
    /^postgres(ql)?:\/\/([^\s:@/]+@)?[^\s@]+$/,
    'must be postgres://USER@HOST:PORT/DATABASE without a password: that comes from PGPASSWORD or a file that PGPASSFILE names',
  )
const originForm = z
  .string()
  .max(128)
  .regex(/^[a-z0-9.-]+(\/[a-z0-9._-]+)+$/, 'must be host/path, for example ledger.example.org/main')

/** What can be set, by the name it has in the file. Each source is checked against the same forms. */
const settings = {
  data: path,
  http: hostPort,
  warehouse: outsideWarehouse,
  temporal: outsideTemporal,
  warehouse_listen: hostPort,
  temporal_listen: hostPort,
  grpc: hostPort,
  grpc_certificate: path,
  grpc_key: path,
  grpc_nameless: ActorName,
  grpc_users: path,
  components: componentList,
  install_temporal: z.boolean(),
  policies: path,
  origin: originForm,
  tiles: z.enum(['public', 'token'], 'must be public or token'),
  interoperability: z.boolean(),
  live: liveTable,
  witness_listen: hostPort,
  ...ledgerSettings,
  ...witnessSettings,
  ...verifySettings,
}
const Settings = z.strictObject(settings).partial()
type Settings = z.infer<typeof Settings>
type Name = keyof Settings

/** Where variables and flags set what: a flag says where an embedded part listens, a variable names one outside. */
const variables: Readonly<Record<string, Name>> = {
  FRACTALOPS_DATA: 'data',
  FRACTALOPS_HTTP: 'http',
  FRACTALOPS_WAREHOUSE: 'warehouse',
  FRACTALOPS_TEMPORAL: 'temporal',
  FRACTALOPS_GRPC: 'grpc',
  FRACTALOPS_GRPC_CERTIFICATE: 'grpc_certificate',
  FRACTALOPS_GRPC_KEY: 'grpc_key',
  FRACTALOPS_GRPC_NAMELESS: 'grpc_nameless',
  FRACTALOPS_GRPC_USERS: 'grpc_users',
  FRACTALOPS_COMPONENTS: 'components',
  FRACTALOPS_ORIGIN: 'origin',
  FRACTALOPS_TILES: 'tiles',
  FRACTALOPS_LIVE: 'live',
  ...ledgerVariables,
  ...witnessVariables,
  ...verifyVariables,
}
/** Variables of commands; they configure no service. */
const commandVariables = ['FRACTALOPS_TOKEN', 'FRACTALOPS_URL']

export const flagNames: Readonly<Record<string, Name>> = {
  data: 'data',
  http: 'http',
  warehouse: 'warehouse_listen',
  temporal: 'temporal_listen',
  grpc: 'grpc',
  components: 'components',
  'install-temporal': 'install_temporal',
  policies: 'policies',
  interoperability: 'interoperability',
  witness: 'witness_listen',
  ...witnessFlags,
}

export interface ConfigSources {
  readonly flags: Readonly<Record<string, string | boolean | undefined>>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Folder in which `fractalops.config.yaml` may stand, and to which paths are relative. */
  readonly cwd: string
}

/** Reads flags, variables and file, in this order of weight. @throws EvidenceError CONFIGURATION_INVALID with every problem at once. */
export function loadConfig({ flags, env, cwd }: ConfigSources): Config {
  const problems: string[] = []
  const fromFile = readSettings(
    fileSettings(cwd, problems),
    (name) => `${configFile}: ${name}`,
    problems,
  )
  if (fromFile.ledger !== undefined && carriesCredentials(fromFile.ledger))
    problems.push(
      `${configFile}: ledger must hold no password: name a file that does with ledger_credentials`,
    )
  const fromEnv = readSettings(environmentSettings(env, problems), variableOf, problems)
  const given = Object.entries(flags).flatMap(([flag, value]) => {
    const name = flagNames[flag]
    return name === undefined || value === undefined ? [] : [[name, value] as const]
  })
  const fromFlags = readSettings(Object.fromEntries(given), flagOf, problems)
  const config = choose({ ...fromFile, ...fromEnv, ...fromFlags }, cwd, problems)
  if (problems.length > 0) {
    throw new EvidenceError(
      'CONFIGURATION_INVALID',
      `the configuration is not usable: ${problems.join('; ')}`,
    )
  }
  return config
}

/** Every setting with its default; what does not go together is added to the problems. */
function choose(chosen: Settings, cwd: string, problems: string[]): Config {
  const placed = (
    outside: string | undefined,
    listen: HostPort | undefined,
    port: number,
  ): Placed =>
    outside === undefined || outside === 'chdb:'
      ? { embedded: true, listen: listen ?? { host: '127.0.0.1', port } }
      : { embedded: false, address: outside }
  const data = resolve(cwd, chosen.data ?? 'data')
  const running = [...new Set(chosen.components ?? defaultComponents)]
  const witness = witnessPlace(chosen, { cwd, data, runs: running.includes('witness') }, problems)
  return Object.freeze({
    data,
    ledger: ledgerPlace(chosen, cwd, problems),
    http: chosen.http ?? { host: '127.0.0.1', port: 4680 },
    warehouse: placed(chosen.warehouse, chosen.warehouse_listen, 8124),
    temporal: placed(chosen.temporal, chosen.temporal_listen, 7233),
    grpc: grpcPlace(chosen, cwd, problems),
    components: running,
    installTemporal: chosen.install_temporal ?? false,
    policies: chosen.policies === undefined ? undefined : resolve(cwd, chosen.policies),
    origin: chosen.origin,
    tiles: chosen.tiles ?? 'token',
    interoperability: chosen.interoperability ?? false,
    live: chosen.live,
    witness:
      witness === undefined
        ? undefined
        : { ...witness, listen: chosen.witness_listen ?? { host: '127.0.0.1', port: 4681 } },
    witnessing: witnessing(chosen, cwd, problems),
    verifier: verifierRule(chosen),
  })
}

function grpcPlace(chosen: Settings, cwd: string, problems: string[]): Config['grpc'] {
  const { grpc_certificate: certificate, grpc_key: key, grpc_users: users } = chosen
  if ((certificate === undefined) !== (key === undefined))
    problems.push('FRACTALOPS_GRPC_CERTIFICATE and FRACTALOPS_GRPC_KEY are given together')
  return {
    ...(chosen.grpc ?? { host: '127.0.0.1', port: 2113 }),
    tls:
      certificate === undefined || key === undefined
        ? undefined
        : { certificate: resolve(cwd, certificate), key: resolve(cwd, key) },
    nameless: chosen.grpc_nameless,
    users: users === undefined ? undefined : resolve(cwd, users),
  }
}

const variableOf = (name: string): string =>
  Object.keys(variables).find((variable) => variables[variable] === name) ?? name
const flagOf = (name: string): string =>
  `--${Object.keys(flagNames).find((flag) => flagNames[flag] === name) ?? name}`

/** What one source says, as far as it is well-formed; everything that is not is told by its own name. */
function readSettings(
  raw: Readonly<Record<string, unknown>>,
  named: (name: string) => string,
  problems: string[],
): Settings {
  const parsed = Settings.safeParse(raw)
  if (parsed.success) return parsed.data
  for (const issue of parsed.error.issues) {
    if (issue.code === 'unrecognized_keys')
      problems.push(...issue.keys.map((key) => `${named(key)} is not a setting`))
    else problems.push(`${named(String(issue.path[0] ?? ''))} ${issue.message}`)
  }
  return {}
}

function fileSettings(cwd: string, problems: string[]): Readonly<Record<string, unknown>> {
  let text: string
  try {
    text = readFileSync(resolve(cwd, configFile), 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {}
    problems.push(
      `${configFile} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    )
    return {}
  }
  if (text.length > configFileBytesMax) {
    problems.push(`${configFile} is larger than ${configFileBytesMax} bytes`)
    return {}
  }
  try {
    const read: unknown = parse(text) ?? {}
    if (typeof read === 'object' && read !== null && !Array.isArray(read)) return { ...read }
    problems.push(`${configFile} must hold settings by name`)
  } catch (error) {
    problems.push(
      `${configFile} is no YAML: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
  return {}
}

function environmentSettings(
  env: ConfigSources['env'],
  problems: string[],
): Readonly<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith('FRACTALOPS_') || variable.startsWith('FRACTALOPS_TEST_')) continue
    if (value === undefined || commandVariables.includes(variable)) continue
    const name = variables[variable]
    if (name === undefined) problems.push(`${variable} is not a variable of this version`)
    else found[name] = value
  }
  return found
}

/** The text form of an address, IPv6 in brackets. */
export const formatHostPort = ({ host, port }: HostPort): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`
