import * as z from 'zod'
import { canonicalBytes } from '../contracts/canonical-json.js'
import {
  type AllPosition,
  allPositionOf,
  AllPositionText,
  allPositionText,
} from './all-position.js'
import { base64Of, bytesOfBase64, hexOf, utf8 } from './encoding.js'
import type { Sha256 } from './merkle.js'

/** One event on its way from one event store to another, byte for byte. */
export interface MovedEvent {
  readonly id: string
  readonly stream: string
  readonly revision: bigint
  readonly type: string
  readonly contentType: string
  readonly data: Uint8Array
  readonly metadata: Uint8Array
  /** When it was recorded, in units of 100 ns since 1970. */
  readonly created: bigint
  readonly position: AllPosition
}

/**
 * What the metadata of a moved event says of where it came from. The new store has its own times and places, so that the
 * old ones stand here, in front of the members that were there.
 */
const Origin = z.strictObject({
  /** The name of the move. */
  from: z.string().min(1).max(256),
  /** `<commit>/<prepare>` in `$all` there. */
  position: AllPositionText,
  revision: z.string().regex(/^\d{1,20}$/),
  /** RFC 3339 with seven fractional digits, the resolution of the protocol. */
  created: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/),
  /** Its stream there, when it has another name here. */
  stream: z.string().optional(),
  /** Its id there, when an earlier event had taken that. */
  id: z.string().optional(),
  /** The metadata as base64, when it was no JSON object that more could be written into. */
  metadata: z.string().optional(),
})
export type Origin = z.infer<typeof Origin>

const mark = '{"$imported":'
const ticksPerMs = 10_000n

/** An instant of 100-ns units as RFC 3339 text that loses none of them. */
export function instantText(ticks: bigint): string {
  const ms = ticks / ticksPerMs
  return `${new Date(Number(ms)).toISOString().slice(0, -1)}${String(ticks % ticksPerMs).padStart(4, '0')}Z`
}

const instantTicks = (text: string): bigint =>
  BigInt(Date.parse(`${text.slice(0, -5)}Z`)) * ticksPerMs + BigInt(text.slice(-5, -1))

const isPlainObject = (text: string): boolean => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !('$imported' in value)
  } catch {
    return false
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of metadata into which a member can be written without changing the rest. */
function openObject(metadata: Uint8Array): string | undefined {
  try {
    const text = strictUtf8.decode(metadata)
    return text.startsWith('{') && isPlainObject(text) ? text : undefined
  } catch {
    return undefined
  }
}

/** The metadata of an event at its new place: where it came from, in front of what it was. */
export function movedMetadata(
  event: MovedEvent,
  move: { readonly from: string; readonly stream: string; readonly id: string },
): Uint8Array {
  const { metadata, position, revision, created } = event
  const object = openObject(metadata)
  const origin: Origin = {
    from: move.from,
    position: allPositionText(position),
    revision: String(revision),
    created: instantText(created),
    ...(move.stream === event.stream ? {} : { stream: event.stream }),
    ...(move.id === event.id ? {} : { id: event.id }),
    ...(object === undefined ? { metadata: base64Of(metadata) } : {}),
  }
  const head = mark + JSON.stringify(origin)
  if (object === undefined) return utf8(`${head}}`)
  const rest = object.slice(1)
  return utf8(/^[ \t\r\n]*\}/.test(rest) ? head + rest : `${head},${rest}`)
}

/** Where an event says that it came from; undefined when it was not moved. */
export function originIn(metadata: Uint8Array): Origin | undefined {
  try {
    const text = strictUtf8.decode(metadata)
    if (!text.startsWith(mark)) return undefined
    const { $imported } = JSON.parse(text) as { readonly $imported?: unknown }
    return Origin.safeParse($imported).data
  } catch {
    return undefined
  }
}

/** A moved event as it was where it came from; undefined when it does not come from there. */
export function eventBefore(event: MovedEvent, from: string): MovedEvent | undefined {
  const origin = originIn(event.metadata)
  if (origin === undefined || origin.from !== from) return undefined
  const head = mark + JSON.stringify(origin)
  const rest = strictUtf8.decode(event.metadata).slice(head.length)
  const metadata =
    origin.metadata === undefined
      ? utf8(`{${rest.startsWith(',') ? rest.slice(1) : rest}`)
      : bytesOfBase64(origin.metadata)
  return {
    ...event,
    id: origin.id ?? event.id,
    stream: origin.stream ?? event.stream,
    revision: BigInt(origin.revision),
    created: instantTicks(origin.created),
    position: allPositionOf(origin.position),
    metadata,
  }
}

/** What two stores hold in common, to be compared: how many events, which, and in which order. */
export interface MoveTally {
  readonly events: number
  /** Sum of the events' digests modulo 2^256, as hex: the same whatever their order. */
  readonly sum: string
  /** Digest over the events' digests in their order, as hex. */
  readonly chain: string
}

const modulus = 1n << 256n

/** Counts and digests events one by one. */
export function createTally(sha256: Sha256) {
  let events = 0
  let sum = 0n
  let chain: Uint8Array = new Uint8Array(32)
  return {
    add({ id, stream, revision, type, contentType, data, metadata, created }: MovedEvent): void {
      const digest = sha256(
        canonicalBytes({
          content_type: contentType,
          created: String(created),
          data: hexOf(sha256(data)),
          id,
          metadata: hexOf(sha256(metadata)),
          revision: String(revision),
          stream,
          type,
        }),
      )
      events += 1
      sum = (sum + BigInt(`0x${hexOf(digest)}`)) % modulus
      const both = new Uint8Array(64)
      both.set(chain)
      both.set(digest, 32)
      chain = sha256(both)
    },
    result: (): MoveTally => ({
      events,
      sum: sum.toString(16).padStart(64, '0'),
      chain: hexOf(chain),
    }),
  }
}
