import * as z from 'zod'
import { ProcessSpec } from '../contracts/asset.js'
import type { FieldProblem } from '../contracts/errors.js'
import { fieldProblems } from '../contracts/event.js'
import { ProposalBody } from '../contracts/proposal.js'

/** What one operation of assets of kind process takes, from the contract of the asset. */
interface Operation {
  readonly name: string
  readonly summary: string
  readonly kind: ProposalBody['kind']
  readonly parameters: z.ZodObject
}

const nothing = z.strictObject({})

export const operations: readonly Operation[] = [
  { name: 'start', summary: 'Start it', kind: 'asset-operation', parameters: nothing },
  { name: 'stop', summary: 'Stop it', kind: 'asset-operation', parameters: nothing },
  {
    name: 'restart',
    summary: 'Replace every process by a new one',
    kind: 'asset-operation',
    parameters: nothing,
  },
  {
    name: 'scale',
    summary: 'Change how many run',
    kind: 'asset-operation',
    parameters: z.strictObject({ replicas: ProcessSpec.shape.replicas.unwrap() }),
  },
  {
    name: 'configure',
    summary: 'Replace the content of its configuration',
    kind: 'asset-operation',
    parameters: z.strictObject({ configuration: ProcessSpec.shape.configuration.unwrap() }),
  },
  {
    name: 'register',
    summary: 'Bring a new asset under control',
    kind: 'asset-registration',
    parameters: ProcessSpec,
  },
]

export const operationNamed = (name: string): Operation => {
  const found = operations.find((operation) => operation.name === name) ?? operations[0]
  if (found === undefined) throw new Error('there are no operations')
  return found
}

/** One field of a form, read out of the JSON Schema of a contract. */
export interface FormField {
  readonly name: string
  readonly pointer: string
  readonly input: 'text' | 'long' | 'number' | 'choice' | 'lines' | 'fixed'
  readonly choices: readonly string[]
  readonly required: boolean
  readonly initial: string
  readonly minimum?: number
  readonly maximum?: number
  readonly lengthMax?: number
}

const Property = z.looseObject({
  type: z.string().optional(),
  const: z.string().optional(),
  enum: z.array(z.string()).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  maxLength: z.number().optional(),
  default: z.union([z.string(), z.number(), z.array(z.unknown())]).optional(),
})
const ObjectSchema = z.looseObject({
  properties: z.record(z.string(), Property).default({}),
  required: z.array(z.string()).default([]),
})
const longTextLength = 5000

function inputOf(property: z.infer<typeof Property>): FormField['input'] {
  if (property.const !== undefined) return 'fixed'
  if (property.enum !== undefined) return 'choice'
  if (property.type === 'integer' || property.type === 'number') return 'number'
  if (property.type === 'array') return 'lines'
  return (property.maxLength ?? 0) > longTextLength ? 'long' : 'text'
}

/** The fields of a contract, in its order. */
export function fieldsOf(schema: z.ZodObject, prefix: string): readonly FormField[] {
  const { properties, required } = ObjectSchema.parse(z.toJSONSchema(schema, { io: 'input' }))
  return Object.entries(properties).map(([name, property]) => ({
    name,
    pointer: `${prefix}/${name}`,
    input: inputOf(property),
    choices: property.enum ?? [],
    required: required.includes(name),
    initial:
      property.const ?? (Array.isArray(property.default) ? '' : String(property.default ?? '')),
    ...(property.minimum === undefined ? {} : { minimum: property.minimum }),
    ...(property.maximum === undefined ? {} : { maximum: property.maximum }),
    ...(property.maxLength === undefined ? {} : { lengthMax: property.maxLength }),
  }))
}

export interface Draft {
  readonly operation: string
  readonly target: 'asset_id' | 'role'
  readonly asset_id: string
  readonly role: string
  /** Text of the fields of the operation, by name. */
  readonly spec: Readonly<Record<string, string>>
  readonly reason: string
  readonly ticket: string
  readonly expected_state_revision: string
}

export const emptyDraft = (operation: string, asset: string): Draft => ({
  operation,
  target: 'asset_id',
  asset_id: asset,
  role: '',
  spec: {},
  reason: '',
  ticket: '',
  expected_state_revision: '',
})

function valueOf(field: FormField, text: string): unknown {
  if (field.input === 'lines') return text.split('\n').filter((line) => line !== '')
  if (field.input === 'number' && text !== '' && !Number.isNaN(Number(text))) return Number(text)
  return text
}

const named = (name: string, value: string) => (value === '' ? {} : { [name]: value })

/** The request as the draft stands, and every place where it breaks the contract. */
export function requestOf(draft: Draft): {
  readonly body: ProposalBody | undefined
  readonly problems: readonly FieldProblem[]
} {
  const operation = operationNamed(draft.operation)
  const spec = Object.fromEntries(
    fieldsOf(operation.parameters, '/spec').flatMap((field) => {
      const text = draft.spec[field.name] ?? field.initial
      return text === '' && (!field.required || field.input === 'choice')
        ? []
        : [[field.name, valueOf(field, text)]]
    }),
  )
  const target = operation.kind === 'asset-registration' ? 'asset_id' : draft.target
  const checked = ProposalBody.safeParse({
    kind: operation.kind,
    operation: operation.name,
    spec,
    reason: draft.reason,
    ...named(target, draft[target].trim()),
    ...named('ticket', draft.ticket.trim()),
    ...named('expected_state_revision', draft.expected_state_revision.trim()),
  })
  const parameters = operation.parameters.safeParse(spec)
  const problems = [
    ...(checked.success ? [] : fieldProblems(checked.error)),
    ...(parameters.success ? [] : fieldProblems(parameters.error, '/spec')),
  ]
  return { body: problems.length === 0 ? checked.data : undefined, problems }
}
