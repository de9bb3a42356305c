import * as z from 'zod'
import {
  type AssetKind,
  AssetSpec,
  type AssetState,
  configurationBytesMax,
  type Difference,
  replicasMax,
} from '../contracts/asset.js'
import { canonicalText } from '../contracts/canonical-json.js'
import { EvidenceError } from '../contracts/errors.js'
import { fieldProblems } from '../contracts/event.js'
import { differences, type Json } from './difference.js'
import { textSha256 } from './state.js'

export type Parameters = Readonly<Record<string, unknown>>
type Desired = AssetState['desired']

/** One thing that can be done to an asset of a kind. */
export interface Operation {
  readonly name: string
  readonly summary: string
  /** Strict: an unknown field, a raw name of the substrate among them, is refused. */
  readonly parameters: z.ZodType<Parameters>
  /** Whether a role may name several assets: each of them is changed in turn. */
  readonly severalAssets: boolean
  /** What is wanted of the asset once the mutation is allowed. */
  desiredAfter(desired: Desired, parameters: Parameters, mutationId: string): Desired
}

/** Stands in a prediction for the generation, whose name is the id of the mutation to come. */
export const generationToCome = 'new'
/** The generation of an asset that was never started. */
export const generationOfNone = 'none'
export const registerOperation = 'register'

const bytesOf = new TextEncoder()
const configuration = z
  .string()
  .refine(
    (text) => bytesOf.encode(text).length <= configurationBytesMax,
    `at most ${configurationBytesMax} bytes`,
  )

function define<Values extends Record<string, unknown>>(operation: {
  readonly name: string
  readonly summary: string
  readonly parameters: z.ZodType<Values>
  readonly severalAssets: boolean
  readonly desiredAfter: (desired: Desired, values: Values, mutationId: string) => Desired
}): Operation {
  return {
    ...operation,
    desiredAfter: (desired, parameters, mutationId) =>
      operation.desiredAfter(desired, operation.parameters.parse(parameters), mutationId),
  }
}

const none = z.strictObject({})

const processOperations: readonly Operation[] = [
  define({
    name: 'start',
    summary: 'Starts the replicas that do not run; those that run are left alone',
    parameters: none,
    severalAssets: true,
    desiredAfter: (desired, _none, mutationId) => ({
      ...desired,
      run_state: 'running',
      generation: desired.run_state === 'running' ? desired.generation : mutationId,
    }),
  }),
  define({
    name: 'stop',
    summary: 'Ends every replica',
    parameters: none,
    severalAssets: true,
    desiredAfter: (desired) => ({ ...desired, run_state: 'stopped' }),
  }),
  define({
    name: 'restart',
    summary: 'Replaces the replicas one after another, each healthy before the next',
    parameters: none,
    severalAssets: true,
    desiredAfter: (desired, _none, mutationId) => ({
      ...desired,
      run_state: 'running',
      generation: mutationId,
    }),
  }),
  define({
    name: 'scale',
    summary: 'Changes how many replicas are wanted',
    parameters: z.strictObject({ replicas: z.int().min(1).max(replicasMax) }),
    severalAssets: false,
    desiredAfter: (desired, { replicas }) => ({ ...desired, replicas }),
  }),
  define({
    name: 'configure',
    summary: 'Writes the configuration and replaces the replicas that run, one after another',
    parameters: z.strictObject({ configuration }),
    severalAssets: false,
    desiredAfter: (desired, values, mutationId) => ({
      ...desired,
      configuration_sha256: textSha256(values.configuration),
      generation: desired.run_state === 'running' ? mutationId : desired.generation,
    }),
  }),
]

/** Every operation, by the kind of asset that it is for. */
export const operationsByKind: Readonly<Record<AssetKind, readonly Operation[]>> = {
  process: processOperations,
}

/** The operation of this name. @throws EvidenceError REQUEST_INVALID naming those there are. */
export function operationOf(kind: AssetKind, name: string): Operation {
  const operations = operationsByKind[kind]
  const found = operations.find((operation) => operation.name === name)
  if (found !== undefined) return found
  const names = operations.map((operation) => operation.name).join(', ')
  const detail = `an asset of kind ${kind} knows no operation "${name}": use one of ${names}`
  throw new EvidenceError('REQUEST_INVALID', detail, {
    fields: [{ pointer: '/operation', detail }],
  })
}

const refuseSpec = (what: string, error: z.ZodError): never => {
  const fields = fieldProblems(error, '/spec')
  throw new EvidenceError(
    'REQUEST_INVALID',
    `${what} is wrong at ${fields.map(({ pointer }) => pointer).join(', ')}`,
    { cause: error, fields },
  )
}

/** The parameters of an operation. @throws EvidenceError REQUEST_INVALID with pointers below /spec. */
export function parametersOf(kind: AssetKind, name: string, spec: unknown): Parameters {
  const parsed = operationOf(kind, name).parameters.safeParse(spec)
  return parsed.success ? parsed.data : refuseSpec(`the spec of ${name}`, parsed.error)
}

/** The specification of an asset to register. @throws EvidenceError REQUEST_INVALID with pointers below /spec. */
export function registrationOf(spec: unknown): AssetSpec {
  const parsed = AssetSpec.safeParse(spec)
  return parsed.success ? parsed.data : refuseSpec('the specification', parsed.error)
}

/** What is wanted of the asset after the operation. */
export const desiredAfter = (
  state: AssetState,
  operation: string,
  parameters: Parameters,
  mutationId: string,
): Desired => operationOf(state.kind, operation).desiredAfter(state.desired, parameters, mutationId)

/** The state with which an asset comes under control: known, and not running. */
export const stateAtRegistration = (spec: AssetSpec): AssetState => ({
  kind: spec.kind,
  desired: {
    run_state: 'stopped',
    replicas: spec.replicas,
    configuration_sha256: textSha256(spec.configuration),
    generation: generationOfNone,
  },
  run_state: 'stopped',
  replicas: [],
})

/** Whether what was seen is what is wanted. */
export const isMet = (state: AssetState): boolean => state.run_state === state.desired.run_state

/** The effect that the operation is going to have, as far as it is known before. */
export function predict(
  state: AssetState,
  operation: string,
  parameters: Parameters,
): Difference[] {
  const desired = desiredAfter(state, operation, parameters, generationToCome)
  return differences(state, { ...state, desired, run_state: desired.run_state })
}

/** The effect of a registration: everything is new. */
export const registrationDiff = (spec: AssetSpec): Difference[] => [
  // Its canonical text is JSON, and has no member without a value.
  { pointer: '/spec', after: JSON.parse(canonicalText(spec)) as Json },
  { pointer: '/state', after: stateAtRegistration(spec) },
]
