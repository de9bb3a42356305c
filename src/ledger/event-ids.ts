import { v5 } from 'uuid'
import { canonicalBytes } from '../contracts/canonical-json.js'

const activityNamespace = '5b1d55d2-4281-5546-a9dc-9f0837addcde'
const cloudEventNamespace = 'f32755c4-1d29-5c43-a033-eb1b13d410ae'
const idempotencyNamespace = 'eb97e2a3-5c66-5e07-9342-37a9ade2e803'

/** UUIDv5 over the RFC 8785 bytes of the array of names. */
const namedId = (namespace: string, ...names: readonly string[]): string =>
  v5(canonicalBytes(names), namespace)

/** The id of an event that an activity appends: the same for every attempt of the step. */
export const activityEventId = (workflowId: string, step: string, eventType: string): string =>
  namedId(activityNamespace, workflowId, step, eventType)

/** The id of a CloudEvent whose own id is no UUID. */
export const cloudEventId = (source: string, id: string): string =>
  namedId(cloudEventNamespace, source, id)

/** The id of what a request with an `Idempotency-Key` records. */
export const idempotencyEventId = (principal: string, route: string, key: string): string =>
  namedId(idempotencyNamespace, principal, route, key)
