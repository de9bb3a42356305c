import * as z from 'zod'
import { EvidenceError, type FieldProblem } from './errors.js'
import type { Writer } from './identifiers.js'

/**
 * One event type: its schema is the type, its writer the only one that may append it, its stream
 * category the only place where it may stand. `past` holds the schema of every retired version;
 * each reads its old shape and yields the present one. Stored bytes never change: upcasting happens
 * on read, after the proof has been checked.
 */
export interface EventContract<Data = unknown> {
  readonly type: string
  readonly version: string
  readonly writer: Writer
  readonly category: string
  readonly summary: string
  readonly schema: z.ZodType<Data>
  readonly example: Data
  readonly past: Readonly<Record<string, z.ZodType<Data>>>
  /**
   * Taken even when only the disk reserve is left, because it tells how something ended that had
   * already begun. The contract decides, never a caller.
   */
  readonly fromReserve: boolean
}

export type DataOf<Contract> = Contract extends EventContract<infer Data> ? Data : never

export function defineEvent<Data>(contract: {
  readonly type: string
  readonly version: string
  readonly writer: Writer
  readonly category: string
  readonly summary: string
  readonly schema: z.ZodType<Data>
  readonly example: NoInfer<Data>
  readonly past?: Readonly<Record<string, z.ZodType<NoInfer<Data>>>>
  readonly fromReserve?: boolean
}): EventContract<Data> {
  return { past: {}, fromReserve: false, ...contract }
}

/** Names every wrong place of a value by its RFC 6901 pointer. */
export const fieldProblems = (error: z.ZodError, prefix = ''): FieldProblem[] =>
  error.issues.flatMap((issue) => {
    const at = [
      prefix,
      ...issue.path.map((part) => String(part).replaceAll('~', '~0').replaceAll('/', '~1')),
    ].join('/')
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        pointer: `${at}/${key}`,
        detail: 'is not a field of this contract: remove it',
      }))
    }
    return [{ pointer: at, detail: issue.message }]
  })

/** Checks data on its way in. @throws EvidenceError EVENT_INVALID naming every wrong field. */
export function checkData<Data>(contract: EventContract<Data>, data: unknown): Data {
  const parsed = contract.schema.safeParse(data)
  if (parsed.success) return parsed.data
  const fields = fieldProblems(parsed.error)
  throw new EvidenceError(
    'EVENT_INVALID',
    `${contract.type} is malformed at ${fields.map((f) => f.pointer || '/').join(', ')}`,
    {
      cause: parsed.error,
      fields,
    },
  )
}

/** Reads stored data of any version of the contract as its present version. */
export function readData<Data>(
  contract: EventContract<Data>,
  version: string,
  data: unknown,
): Data {
  const schema = version === contract.version ? contract.schema : contract.past[version]
  if (schema === undefined) {
    throw new EvidenceError('EVENT_VERSION_UNKNOWN', `${contract.type} has no version ${version}`)
  }
  const parsed = schema.safeParse(data)
  if (parsed.success) return parsed.data
  throw new EvidenceError('EVENT_INVALID', `${contract.type} version ${version} is malformed`, {
    cause: parsed.error,
    fields: fieldProblems(parsed.error),
  })
}
