import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import type * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import type { EventContract } from '../contracts/event.js'
import { EvidenceResponse, type EvidenceResult } from '../contracts/http.js'
import { Uuid } from '../contracts/identifiers.js'
import type { EventMetadata } from '../contracts/leaf.js'
import { canonicalBytes } from '../contracts/canonical-json.js'
import { cloudEventId } from '../ledger/event-ids.js'
import { dataBytesMax, type Receipt } from '../ledger/event-store.js'
import { checkOrdinaryStream } from '../ledger/stream-name.js'
import type { Principal } from '../proposals/proposal.js'
import { isJsonType } from '../runtime/event-view.js'
import { principalOf, recorders } from './access.js'
import { type Arrival, type CloudEvent, readCloudEvents } from './cloud-events.js'
import { contractFor } from './evidence-contract.js'
import { readJson } from './json-body.js'
import type { ApiCounters } from './metrics.js'
import type { ApiParts } from './parts.js'
import { evidenceErrorOf, problemOf } from './problem.js'

/** The largest data of one event, in binary mode; other modes carry their attributes in it too. */
export const evidenceBodyBytesMax = dataBytesMax

type Result = z.infer<typeof EvidenceResult>

/** The ledger's id of a CloudEvent: its own if it is a lower-case UUID, else one made of source and id. */
const eventIdOf = ({ attributes: { id, source } }: CloudEvent): string =>
  Uuid.safeParse(id).success ? id : cloudEventId(source, id)

function metadataOf({ attributes }: CloudEvent): EventMetadata {
  const { id, source, time, correlationid, causationid, traceparent } = attributes
  return {
    source,
    ...(Uuid.safeParse(id).success ? {} : { source_id: id }),
    ...(time === undefined ? {} : { occurred_at: time }),
    ...(correlationid === undefined ? {} : { correlation_id: correlationid }),
    ...(causationid === undefined ? {} : { causation_id: causationid }),
    ...(traceparent === undefined ? {} : { traceparent }),
  }
}

async function recordEvidence(
  { recorder }: ApiParts,
  principal: Principal,
  contract: EventContract,
  event: CloudEvent,
): Promise<readonly Receipt[]> {
  const { subject, stream: named } = event.attributes
  const stream = `${contract.category}-${subject ?? ''}`
  const field = (pointer: string, detail: string) =>
    new EvidenceError('REQUEST_INVALID', `the CloudEvent is malformed at ${pointer}`, {
      fields: [{ pointer, detail }],
    })
  if (subject === undefined)
    throw field('/subject', `names the stream of ${contract.type}: ${contract.category}-<subject>`)
  if (named !== undefined && named !== stream)
    throw field('/stream', `must be ${stream}, which the subject names, or left out`)
  if (!isJsonType(event.contentType))
    throw field('/datacontenttype', `the data of ${contract.type} is JSON`)
  checkOrdinaryStream(principal.project, stream)
  // UTF-8, depth and keys are checked here, where the message can name what is wrong.
  readJson(event.data)
  const received = { bytes: event.data, contentType: event.contentType }
  const fact = {
    contract,
    id: eventIdOf(event),
    data: undefined,
    metadata: metadataOf(event),
    received,
  }
  return recorder.record({
    project: principal.project,
    stream,
    expected: 'any',
    actor: principal.name,
    facts: [fact],
  })
}

async function appendClient(
  { clients }: ApiParts,
  principal: Principal,
  event: CloudEvent,
): Promise<readonly Receipt[]> {
  const { type, subject, stream } = event.attributes
  if (stream === undefined)
    throw new EvidenceError(
      'EVENT_TYPE_UNKNOWN',
      `${type} is not in the catalogue, and the extension "stream" names no stream for it`,
    )
  checkOrdinaryStream(principal.project, stream)
  if (subject !== undefined && subject !== stream.slice(stream.indexOf('-') + 1)) {
    throw new EvidenceError('REQUEST_INVALID', 'the CloudEvent is malformed at /subject', {
      fields: [
        {
          pointer: '/subject',
          detail: 'must be what follows the category in the stream, or left out',
        },
      ],
    })
  }
  const draft = {
    id: eventIdOf(event),
    type,
    actor: principal.name,
    contentType: event.contentType,
    data: event.data,
    metadata: canonicalBytes(metadataOf(event)),
  }
  return clients.appendClient({
    project: principal.project,
    stream,
    expected: 'any',
    events: [draft],
    user: principal,
  })
}

async function take(parts: ApiParts, principal: Principal, arrival: Arrival): Promise<Result> {
  const event = arrival.read()
  const contract = contractFor(event.attributes.type)
  const [receipt] =
    contract === undefined
      ? await appendClient(parts, principal, event)
      : await recordEvidence(parts, principal, contract, event)
  if (receipt === undefined)
    throw new EvidenceError('LEDGER_BUSY', 'the ledger answered no receipt')
  return {
    id: arrival.id,
    result: receipt.repeated ? 'repeated' : 'recorded',
    event_id: receipt.id,
    stream: receipt.stream,
    revision: String(receipt.revision),
    position: receipt.position === null ? null : String(receipt.position),
  }
}

export const evidence =
  (parts: ApiParts, counters: ApiCounters): FastifyPluginAsyncZod =>
  async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser<Buffer>(
      '*',
      { parseAs: 'buffer', bodyLimit: evidenceBodyBytesMax },
      async (_request: unknown, body: Buffer) => body,
    )

    app.post(
      '/v1/evidence',
      {
        bodyLimit: evidenceBodyBytesMax,
        config: { access: recorders },
        schema: {
          tags: ['evidence'],
          summary:
            'Append evidence and events of clients: CloudEvents 1.0, structured, binary or batch',
          consumes: ['application/cloudevents+json', 'application/cloudevents-batch+json'],
          response: { 200: EvidenceResponse },
        },
      },
      async (request) => {
        const principal = principalOf(request)
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
        const { mode, events } = readCloudEvents(request.headers, body)
        // Handed over in their order, in one tick as far as each can be read: the ledger keeps that order.
        const results = await Promise.all(
          events.map(async (arrival): Promise<Result> => {
            try {
              return await take(parts, principal, arrival)
            } catch (error) {
              const known = evidenceErrorOf(error)
              if (mode !== 'batch' || known === undefined) throw error
              return { id: arrival.id, result: 'refused', problem: problemOf(known) }
            }
          }),
        )
        for (const { result } of results) counters.evidence(result)
        return { results }
      },
    )
  }
