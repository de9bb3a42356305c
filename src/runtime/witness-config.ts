import { isAbsolute, relative, resolve } from 'node:path'
import * as z from 'zod'

const path = z.string().min(1).max(4096)
const yesOrNo = z.union([
  z.boolean(),
  z.enum(['true', 'false'], 'must be true or false').transform((text) => text === 'true'),
])

/** What can be set about witnesses, by the name it has in the configuration file. */
export const witnessSettings = {
  witness_state: path,
  witness_logs: path,
  witness_name: z
    .string()
    .max(128)
    .regex(/^[^\s+]+$/u, 'must be a name without white space and "+", for example w.example.org/1'),
  witness_policy: path,
  witness_required: yesOrNo,
  witness_interval_ms: z.coerce.number().int().min(50).max(3_600_000),
  known_checkpoint: path,
  accept_rollback: z.boolean(),
}
type Settings = {
  readonly [Name in keyof typeof witnessSettings]?:
    z.infer<(typeof witnessSettings)[Name]> | undefined
}

export const witnessVariables = {
  FRACTALOPS_WITNESS_STATE: 'witness_state',
  FRACTALOPS_WITNESS_LOGS: 'witness_logs',
  FRACTALOPS_WITNESS_NAME: 'witness_name',
  FRACTALOPS_WITNESS_POLICY: 'witness_policy',
  FRACTALOPS_WITNESS_REQUIRED: 'witness_required',
  FRACTALOPS_WITNESS_INTERVAL_MS: 'witness_interval_ms',
  FRACTALOPS_KNOWN_CHECKPOINT: 'known_checkpoint',
} as const satisfies Record<string, keyof Settings>

export const witnessFlags = {
  'witness-state': 'witness_state',
  known: 'known_checkpoint',
  'accept-rollback': 'accept_rollback',
} as const satisfies Record<string, keyof Settings>

/** A witness of other logs, or of ours, that runs in this process. */
export interface WitnessPlace {
  /** Folder of its key and of what it has seen; never inside the data folder. */
  readonly state: string
  /** File that says which logs it follows. */
  readonly logs: string
  /** Name of its key; drawn when the key is made. */
  readonly name: string | undefined
}

/** How our own ledger is witnessed by others. */
export interface Witnessing {
  /** File of the C2SP tlog-policy that names the witnesses; undefined = none is asked. */
  readonly policy: string | undefined
  /** Proofs and checkpoints leave only when the policy is met. */
  readonly required: boolean
  readonly intervalMs: number
  /** File of a checkpoint that was kept elsewhere, which the ledger must extend. */
  readonly known: string | undefined
  /** Go on although a witness or a kept checkpoint says that the ledger was larger or other. */
  readonly acceptRollback: boolean
}

const defaultIntervalMs = 2_000

const isWithin = (folder: string, outer: string): boolean => {
  const way = relative(outer, folder)
  return way === '' || (!way.startsWith('..') && !isAbsolute(way))
}

/** Whether a backup of one folder would take the other with it. */
export const foldersOverlap = (one: string, other: string): boolean =>
  isWithin(one, other) || isWithin(other, one)

/** The witness that this process runs, if it runs one; what is missing is added to the problems. */
export function witnessPlace(
  chosen: Settings,
  where: { readonly cwd: string; readonly data: string; readonly runs: boolean },
  problems: string[],
): WitnessPlace | undefined {
  if (!where.runs) return undefined
  const { witness_state: state, witness_logs: logs, witness_name: name } = chosen
  if (state === undefined || logs === undefined) {
    problems.push(
      'the component witness needs FRACTALOPS_WITNESS_STATE (its own folder, outside the data folder) and FRACTALOPS_WITNESS_LOGS (the file of logs that it follows)',
    )
    return undefined
  }
  const folder = resolve(where.cwd, state)
  if (foldersOverlap(folder, where.data)) {
    problems.push(
      `the state of the witness (${folder}) and the data folder (${where.data}) must not be inside one another: whoever restores one would restore the other`,
    )
  }
  return { state: folder, logs: resolve(where.cwd, logs), name }
}

export function witnessing(chosen: Settings, cwd: string, problems: string[]): Witnessing {
  const file = (name: string | undefined) => (name === undefined ? undefined : resolve(cwd, name))
  const required = chosen.witness_required ?? false
  if (required && chosen.witness_policy === undefined)
    problems.push('FRACTALOPS_WITNESS_REQUIRED needs FRACTALOPS_WITNESS_POLICY')
  return {
    policy: file(chosen.witness_policy),
    required,
    intervalMs: chosen.witness_interval_ms ?? defaultIntervalMs,
    known: file(chosen.known_checkpoint),
    acceptRollback: chosen.accept_rollback ?? false,
  }
}
