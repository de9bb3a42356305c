import type { IncomingHttpHeaders } from 'node:http'
import * as z from 'zod'
import { canonicalBytes } from '../contracts/canonical-json.js'
import { EvidenceError, type FieldProblem } from '../contracts/errors.js'
import { fieldProblems } from '../contracts/event.js'
import { LeafName, LeafStream } from '../contracts/leaf.js'
import { isJsonType } from '../runtime/event-view.js'
import { readJson } from './json-body.js'

/** Events of one batch. */
export const batchCloudEventsMax = 1_000

const utf8 = new TextEncoder()
const strictUtf8 = new TextDecoder('utf-8', { fatal: true })

/** The attributes of CloudEvents 1.0 that this ledger keeps; any other is refused, not dropped. */
const Attributes = z.strictObject({
  specversion: z.literal('1.0', 'must be "1.0"'),
  id: z.string().min(1).max(2048),
  source: z.string().min(1).max(2048),
  type: LeafName,
  subject: z.string().min(1).max(512).optional(),
  time: z.iso.datetime({ offset: true }).optional(),
  datacontenttype: LeafName.optional(),
  stream: LeafStream.optional(),
  correlationid: z.string().min(1).max(256).optional(),
  causationid: z.string().min(1).max(256).optional(),
  traceparent: z
    .string()
    .regex(/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)
    .optional(),
})
const Structured = Attributes.extend({
  data: z.json().optional(),
  data_base64: z.base64().optional(),
})

/** One CloudEvent as it came in: its attributes, and the data bytes that the ledger keeps. */
export interface CloudEvent {
  readonly attributes: z.infer<typeof Attributes>
  readonly contentType: string
  readonly data: Uint8Array
}

/** The events of a request, each read or refused by itself. `id` is what the sender called it, as far as that is known. */
export interface Arrival {
  readonly id: string
  readonly read: () => CloudEvent
}

export interface Arrivals {
  readonly mode: 'binary' | 'structured' | 'batch'
  readonly events: readonly Arrival[]
}

const invalid = (what: string, fields: readonly FieldProblem[], cause?: unknown) =>
  new EvidenceError(
    'REQUEST_INVALID',
    `${what} at ${fields.map(({ pointer }) => pointer || '/').join(', ')}`,
    { fields, cause },
  )

/** Reads the CloudEvents of an HTTP request in any of the three modes. @throws EvidenceError REQUEST_INVALID, CONTENT_TYPE_UNSUPPORTED. */
export function readCloudEvents(headers: IncomingHttpHeaders, body: Uint8Array): Arrivals {
  const contentType = headers['content-type']?.trim() ?? ''
  const mediaType = contentType.split(';')[0]?.trim().toLowerCase() ?? ''
  if (mediaType.startsWith('application/cloudevents')) {
    if (mediaType === 'application/cloudevents-batch+json')
      return { mode: 'batch', events: batchOf(readJson(body)) }
    if (mediaType !== 'application/cloudevents+json') {
      throw new EvidenceError(
        'CONTENT_TYPE_UNSUPPORTED',
        `CloudEvents are read as JSON only, not as ${mediaType.slice(0, 100)}`,
      )
    }
    const event = readJson(body)
    return {
      mode: 'structured',
      events: [{ id: idOf(event), read: () => structuredEvent(event, '') }],
    }
  }
  if (headers['ce-specversion'] === undefined && headers['ce-id'] === undefined) {
    throw new EvidenceError(
      'CONTENT_TYPE_UNSUPPORTED',
      `the content type ${JSON.stringify(mediaType.slice(0, 100))} without ce- headers is no CloudEvent`,
    )
  }
  return {
    mode: 'binary',
    events: [
      { id: String(headers['ce-id'] ?? ''), read: () => binaryEvent(headers, contentType, body) },
    ],
  }
}

const idOf = (event: unknown): string =>
  typeof event === 'object' && event !== null && 'id' in event && typeof event.id === 'string'
    ? event.id.slice(0, 2048)
    : ''

function batchOf(body: unknown): readonly Arrival[] {
  if (!Array.isArray(body))
    throw invalid('a batch is a JSON array', [
      { pointer: '', detail: 'must be an array of CloudEvents' },
    ])
  if (body.length > batchCloudEventsMax) {
    throw new EvidenceError(
      'REQUEST_TOO_LARGE',
      `a batch holds at most ${batchCloudEventsMax} events, this one ${body.length}`,
    )
  }
  return body.map((event: unknown, index) => ({
    id: idOf(event),
    read: () => structuredEvent(event, `/${index}`),
  }))
}

function structuredEvent(value: unknown, pointer: string): CloudEvent {
  const parsed = Structured.safeParse(value)
  if (!parsed.success)
    throw invalid('the CloudEvent is malformed', fieldProblems(parsed.error, pointer), parsed.error)
  const { data, data_base64: base64, ...attributes } = parsed.data
  const contentType = attributes.datacontenttype ?? 'application/json'
  if (base64 !== undefined) {
    if (data !== undefined)
      throw invalid('the CloudEvent has its data twice', [
        { pointer: `${pointer}/data_base64`, detail: 'send data or data_base64, not both' },
      ])
    return { attributes, contentType, data: Buffer.from(base64, 'base64') }
  }
  if (data === undefined) return { attributes, contentType, data: new Uint8Array() }
  if (isJsonType(contentType)) return { attributes, contentType, data: canonicalBytes(data) }
  if (typeof data === 'string') return { attributes, contentType, data: utf8.encode(data) }
  throw invalid('the data does not fit its content type', [
    {
      pointer: `${pointer}/data`,
      detail: `must be a string for ${contentType}, or use data_base64`,
    },
  ])
}

function binaryEvent(
  headers: IncomingHttpHeaders,
  contentType: string,
  body: Uint8Array,
): CloudEvent {
  const named: Record<string, string> = {}
  for (const [header, value] of Object.entries(headers)) {
    if (!header.startsWith('ce-') || value === undefined) continue
    named[header.slice(3)] = headerValue(header, Array.isArray(value) ? value.join(', ') : value)
  }
  if ('datacontenttype' in named) {
    throw invalid('the CloudEvent is malformed', [
      {
        pointer: '/headers/ce-datacontenttype',
        detail: 'is told by Content-Type in binary mode: remove it',
      },
    ])
  }
  const parsed = Attributes.safeParse(named)
  if (!parsed.success) {
    const fields = fieldProblems(parsed.error).map(({ pointer, detail }) => ({
      pointer: `/headers/ce-${pointer.slice(1)}`,
      detail,
    }))
    throw invalid('the CloudEvent is malformed', fields, parsed.error)
  }
  const type = LeafName.safeParse(contentType === '' ? 'application/octet-stream' : contentType)
  if (!type.success)
    throw invalid('the Content-Type is malformed', [
      { pointer: '/headers/content-type', detail: 'is too long' },
    ])
  return { attributes: parsed.data, contentType: type.data, data: body }
}

/** Undoes the encoding of header values: quotes first, then one round of percent-decoding. */
function headerValue(header: string, value: string): string {
  const unquoted = /^"(.*)"$/s.exec(value)?.[1]?.replaceAll(/\\(.)/g, '$1') ?? value
  const bytes: number[] = []
  for (let at = 0; at < unquoted.length; at += 1) {
    const unit = unquoted.charCodeAt(at)
    const hex = unit === 0x25 ? unquoted.slice(at + 1, at + 3) : ''
    if (unit > 0x7e || unit < 0x20 || (unit === 0x25 && !/^[0-9a-fA-F]{2}$/.test(hex))) {
      throw invalid('a header is malformed', [
        { pointer: `/headers/${header}`, detail: 'must be ASCII with UTF-8 percent-encoded' },
      ])
    }
    bytes.push(hex === '' ? unit : Number.parseInt(hex, 16))
    if (hex !== '') at += 2
  }
  try {
    return strictUtf8.decode(Uint8Array.from(bytes))
  } catch (cause) {
    throw invalid(
      'a header is malformed',
      [{ pointer: `/headers/${header}`, detail: 'is not UTF-8 after percent-decoding' }],
      cause,
    )
  }
}
