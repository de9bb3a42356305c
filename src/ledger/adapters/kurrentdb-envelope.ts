import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import * as z from 'zod'
import { canonicalBytes } from '../../contracts/canonical-json.js'
import { EvidenceError } from '../../contracts/errors.js'
import { Decimal, Sha256Hex, Uuid, Writer } from '../../contracts/identifiers.js'
import { LeafName, LeafProject, LeafStream, saltBytes } from '../../contracts/leaf.js'
import { concatBytes, hexOf, textOf } from '../encoding.js'
import type { EventDraft } from '../event-store.js'
import { dataDigest, metadataDigest } from '../leaf.js'
import { nodeCrypto } from '../node-crypto.js'
import type { DataKeys, NewDataKeys } from './data-key-file.js'
import type { ClusterDraft, ClusterEvent } from './kurrentdb-connection.js'
import { clusterStreamOf, clusterTypeOf, type LedgerStream } from './kurrentdb-names.js'

const format = 'fractalops/sealed/1'

/** What the metadata of an event of ours on the cluster says: what its leaf will, and where its keys are. */
const Facts = z.strictObject({
  format: z.literal(format),
  actor: LeafName,
  content_type: LeafName,
  data_sha256: Sha256Hex,
  metadata_sha256: Sha256Hex,
  project: LeafProject,
  stream: LeafStream,
  type: LeafName,
  version: Decimal,
  writer: Writer,
  /** Place of its keys in the file of data keys. */
  key: Decimal,
})
type Facts = z.infer<typeof Facts>
const Envelope = z.strictObject({ fractalops: Facts.extend({ mac: Sha256Hex }) })

/** An event that a ledger with this secret appended, its payload still closed. */
export interface SealedEvent {
  readonly id: string
  readonly facts: Facts
  readonly event: ClusterEvent
}

/** The parts of a payload with their salts. */
export interface OpenedPayload {
  readonly data: Uint8Array
  readonly metadata: Uint8Array
  readonly dataSalt: Uint8Array
  readonly metadataSalt: Uint8Array
}

/** A sequencer's word that it follows the one before. */
export const Claim = z.strictObject({
  format: z.literal('fractalops/claim/1'),
  origin: z.string().max(256),
  holder: Uuid,
  mac: Sha256Hex,
})
export type Claim = z.infer<typeof Claim>

/**
 * What of the ledger stands on the cluster is sealed: payloads under a key of their own each, and what the leaf says under
 * a code that nobody makes who lacks the secret. So whoever may write there can tell of nothing in the ledger's name.
 */
export interface Envelopes {
  seal(draft: EventDraft, at: LedgerStream, keys: NewDataKeys): ClusterDraft
  /** Undefined for what somebody else appended. */
  recognise(event: ClusterEvent): SealedEvent | undefined
  /** @throws EvidenceError DATA_FOLDER_INVALID when a key is missing or the payload is not what was sealed. */
  open(sealed: SealedEvent, keys: DataKeys | undefined): OpenedPayload
  /** The salt of a part of an event of somebody else: the same whenever it is made, and known to nobody outside. */
  foreignSalt(event: ClusterEvent, part: 'data' | 'metadata'): Uint8Array
  /** The id of a leaf that stands for this place on the cluster, whatever the event there is called. */
  idAt(event: ClusterEvent): string
  claim(origin: string, holder: string): Claim
  /** Undefined for what is no claim of a ledger with this secret. */
  claimIn(event: ClusterEvent): Claim | undefined
}

export function createEnvelopes(secret: Uint8Array): Envelopes {
  const code = (label: string, ...bytes: readonly Uint8Array[]): Buffer => {
    const hmac = createHmac('sha256', secret).update(`${label}\n`)
    for (const part of bytes) hmac.update(part)
    return hmac.digest()
  }
  const codeOfFacts = (id: string, facts: Facts) => code(format, canonicalBytes({ id, ...facts }))
  const codeOfClaim = (origin: string, holder: string) =>
    code('fractalops/claim/1', canonicalBytes({ origin, holder }))
  const place = ({ stream, revision }: ClusterEvent) => canonicalBytes([stream, String(revision)])

  return {
    seal(draft, { project, stream }, keys) {
      const dataSalt = randomBytes(saltBytes)
      const metadataSalt = randomBytes(saltBytes)
      const facts: Facts = {
        format,
        actor: draft.actor,
        content_type: draft.contentType,
        data_sha256: hexOf(dataDigest(nodeCrypto.sha256, dataSalt, draft.data)),
        metadata_sha256: hexOf(metadataDigest(nodeCrypto.sha256, metadataSalt, draft.metadata)),
        project,
        stream,
        type: draft.type,
        version: draft.version,
        writer: draft.writer,
        key: String(keys.slot),
      }
      const mac = codeOfFacts(draft.id, facts).toString('hex')
      const closed = close(keys.data, dataSalt, draft.data)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(closed.length)
      return {
        id: draft.id,
        type: clusterTypeOf(draft.type),
        data: concatBytes(length, closed, close(keys.metadata, metadataSalt, draft.metadata)),
        metadata: canonicalBytes({ fractalops: { ...facts, mac } }),
      }
    },
    recognise(event) {
      const read = Envelope.safeParse(jsonOf(event.metadata))
      if (!read.success) return undefined
      const { mac, ...facts } = read.data.fractalops
      const isOurs =
        timingSafeEqual(Buffer.from(mac, 'hex'), codeOfFacts(event.id, facts)) &&
        clusterStreamOf(facts) === event.stream &&
        clusterTypeOf(facts.type) === event.type
      return isOurs ? { id: event.id, facts, event } : undefined
    },
    open(sealed, keys) {
      try {
        return openPayload(sealed, keys)
      } catch (cause) {
        throw cause instanceof EvidenceError
          ? cause
          : unopened(sealed, 'is not what was sealed', cause)
      }
    },
    foreignSalt: (event, part) => code(`fractalops/foreign-salt/1/${part}`, place(event)),
    idAt(event) {
      const hex = code('fractalops/id-at/1', place(event)).toString('hex')
      // RFC 9562 version 8: made by a rule of our own.
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
    },
    claim: (origin, holder) => ({
      format: 'fractalops/claim/1',
      origin,
      holder,
      mac: codeOfClaim(origin, holder).toString('hex'),
    }),
    claimIn(event) {
      const { data: claim } = Claim.safeParse(jsonOf(event.data))
      if (claim === undefined) return undefined
      const expected = codeOfClaim(claim.origin, claim.holder)
      return timingSafeEqual(Buffer.from(claim.mac, 'hex'), expected) ? claim : undefined
    },
  }
}

const cipher = 'aes-256-gcm'
const nonceBytes = 12
const tagBytes = 16

/** Salt and bytes of a part under its key. The key closes nothing else, so the nonce needs only to differ among retries. */
function close(key: Uint8Array, salt: Uint8Array, bytes: Uint8Array): Uint8Array {
  const nonce = randomBytes(nonceBytes)
  const sealing = createCipheriv(cipher, key, nonce, { authTagLength: tagBytes })
  return Buffer.concat([
    nonce,
    sealing.update(salt),
    sealing.update(bytes),
    sealing.final(),
    sealing.getAuthTag(),
  ])
}

function openPart(key: Uint8Array, closed: Uint8Array): { salt: Uint8Array; bytes: Uint8Array } {
  const opening = createDecipheriv(cipher, key, closed.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  })
  opening.setAuthTag(closed.subarray(closed.length - tagBytes))
  const plain = Buffer.concat([
    opening.update(closed.subarray(nonceBytes, closed.length - tagBytes)),
    opening.final(),
  ])
  return {
    salt: Uint8Array.from(plain.subarray(0, saltBytes)),
    bytes: Uint8Array.from(plain.subarray(saltBytes)),
  }
}

function openPayload(sealed: SealedEvent, keys: DataKeys | undefined): OpenedPayload {
  if (keys === undefined || keys.data === null || keys.metadata === null)
    throw unopened(sealed, 'is sealed under a key that this data folder lacks')
  const { data } = sealed.event
  const length = Buffer.from(data.buffer, data.byteOffset, data.length).readUInt32BE(0)
  const first = openPart(keys.data, data.subarray(4, 4 + length))
  const second = openPart(keys.metadata, data.subarray(4 + length))
  const { facts } = sealed
  const isWhole =
    hexOf(dataDigest(nodeCrypto.sha256, first.salt, first.bytes)) === facts.data_sha256 &&
    hexOf(metadataDigest(nodeCrypto.sha256, second.salt, second.bytes)) === facts.metadata_sha256
  if (!isWhole) throw unopened(sealed, 'does not have the digests that its metadata names')
  return {
    data: first.bytes,
    dataSalt: first.salt,
    metadata: second.bytes,
    metadataSalt: second.salt,
  }
}

const unopened = ({ id, event }: SealedEvent, flaw: string, cause?: unknown) =>
  new EvidenceError(
    'DATA_FOLDER_INVALID',
    `the event ${id} (${event.stream}, revision ${event.revision}) on the cluster ${flaw}`,
    { cause },
  )

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(bytes))
  } catch {
    // Metadata of others need not be JSON.
    return undefined
  }
}
