import { EvidenceError } from './errors.js'

/**
 * Protocol Buffers, as far as the protocols that are spoken here need them. A message is described by its fields;
 * its type follows from the description. What a message does not know is skipped, as the format asks.
 */
export interface Field<Value> {
  readonly tag: number
  readonly wire: number
  /** With its tag; from the end to the front, so that every length is known when it is needed. */
  write(to: ProtoWriter, value: Value): void
  read(from: ProtoReader, before: Value | undefined): Value
}

type Fields = Readonly<Record<string, Field<unknown>>>
type ValueOf<Described> = Described extends Field<infer Value> ? Value : never
export type Decoded<Described extends Fields> = {
  readonly [Name in keyof Described]?: ValueOf<Described[Name]> | undefined
}

export interface Message<Described extends Fields> {
  readonly fields: Described
  encode(value: Decoded<Described>, bytesExpected?: number): Buffer
  /** @throws EvidenceError REQUEST_INVALID. */
  decode(bytes: Uint8Array): Decoded<Described>
}
export type MessageType<Described> = Described extends Message<infer F> ? Decoded<F> : never

const varintWire = 0
const fixed64Wire = 1
const bytesWire = 2
const fixed32Wire = 5

const malformed = (detail: string) =>
  new EvidenceError('REQUEST_INVALID', `the message is no Protocol Buffers message: ${detail}`)

const smallMax = 0x7f
const plainCharactersMax = 64
const bytesExpectedMin = 128
const highPart = 2 ** 32

/** Takes values from the last to the first. */
export class ProtoWriter {
  private buffer: Buffer
  private at: number

  constructor(bytesExpected: number) {
    this.buffer = Buffer.allocUnsafe(bytesExpected)
    this.at = bytesExpected
  }

  /** Bytes written so far. */
  get written(): number {
    return this.buffer.length - this.at
  }

  private claim(bytes: number): number {
    if (this.at < bytes) {
      const { written } = this
      const larger = Buffer.allocUnsafe(Math.max(2 * this.buffer.length, written + bytes + 64))
      this.buffer.copy(larger, larger.length - written, this.at)
      this.buffer = larger
      this.at = larger.length - written
    }
    return (this.at -= bytes)
  }

  varint(value: number | bigint): void {
    if (typeof value === 'bigint' || value < 0 || value > Number.MAX_SAFE_INTEGER) {
      this.longVarint(BigInt.asUintN(64, BigInt(value)))
      return
    }
    let length = 1
    for (let rest = value; rest > smallMax; rest = Math.floor(rest / 128)) length += 1
    let to = this.claim(length)
    let rest = value
    for (; rest > smallMax; rest = Math.floor(rest / 128)) this.buffer[to++] = (rest % 128) | 0x80
    this.buffer[to] = rest
  }

  private longVarint(value: bigint): void {
    const bytes: number[] = []
    let rest = value
    for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
    bytes.push(Number(rest))
    const to = this.claim(bytes.length)
    this.buffer.set(bytes, to)
  }

  bytes(value: Uint8Array): void {
    // Claimed first: that may be another buffer.
    const to = this.claim(value.length)
    this.buffer.set(value, to)
  }

  text(value: string): void {
    if (value.length <= plainCharactersMax && this.plainText(value)) return
    const bytes = Buffer.byteLength(value)
    const to = this.claim(bytes)
    this.buffer.write(value, to, bytes, 'utf8')
  }

  /** Writes a short text of ASCII, which costs less than asking for it to be encoded; answers whether it was one. */
  private plainText(value: string): boolean {
    const { length } = value
    const to = this.claim(length)
    const { buffer } = this
    for (let at = 0; at < length; at += 1) {
      const character = value.charCodeAt(at)
      if (character > smallMax) {
        this.at += length
        return false
      }
      buffer[to + at] = character
    }
    return true
  }

  finish(): Buffer {
    return this.buffer.subarray(this.at)
  }
}

export class ProtoReader {
  private at = 0
  private readonly buffer: Buffer

  constructor(bytes: Uint8Array) {
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get done(): boolean {
    return this.at >= this.buffer.length
  }

  private byte(): number {
    const byte = this.buffer[this.at++]
    if (byte === undefined) throw malformed('it ends within a value')
    return byte
  }

  varint(): bigint {
    const { low, high } = this.halves()
    return high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low)
  }

  /** A value of at most 32 bits; what is larger is cut as the format asks. */
  uint32(): number {
    return this.halves().low
  }

  private halves(): { low: number; high: number } {
    let low = 0
    let high = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.byte()
      const part = byte & 0x7f
      if (shift < 28) low += part * 2 ** shift
      else if (shift === 28) {
        low += (part & 0x0f) * 2 ** 28
        high += part >> 4
      } else high += part * 2 ** (shift - 32)
      if (byte < 0x80) return { low, high: high % highPart }
    }
    throw malformed('a number has more than 64 bits')
  }

  /** A part of the message itself, not a copy. */
  bytes(): Buffer {
    const length = this.uint32()
    const end = this.at + length
    if (end > this.buffer.length) throw malformed('it ends within a value')
    const part = this.buffer.subarray(this.at, end)
    this.at = end
    return part
  }

  /** A value of eight bytes. */
  eight(): Buffer {
    const end = this.at + 8
    if (end > this.buffer.length) throw malformed('it ends within a value')
    const part = this.buffer.subarray(this.at, end)
    this.at = end
    return part
  }

  skip(wire: number): void {
    if (wire === varintWire) this.halves()
    else if (wire === bytesWire) this.bytes()
    else if (wire === fixed64Wire) this.at += 8
    else if (wire === fixed32Wire) this.at += 4
    else throw malformed(`it has a value of the unknown kind ${wire}`)
    if (this.at > this.buffer.length) throw malformed('it ends within a value')
  }
}

export function message<const Described extends Fields>(fields: Described): Message<Described> {
  const byTag: [string, Field<unknown>][] = []
  for (const [name, field] of Object.entries(fields)) byTag[field.tag] = [name, field]
  // Within a message the order of fields has no meaning; ascending is what others write.
  const descending = [...byTag].reverse().filter((entry) => entry !== undefined)
  /** A guess for the next one: about as long as the last. A wrong one only costs copying. */
  let usual = bytesExpectedMin
  return {
    fields,
    encode(value, bytesExpected = usual) {
      const writer = new ProtoWriter(bytesExpected)
      writeFields(writer, descending, value)
      usual = Math.max(bytesExpectedMin, writer.written + (writer.written >> 3))
      return writer.finish()
    },
    decode(bytes) {
      const found: Record<string, unknown> = {}
      const reader = new ProtoReader(bytes)
      while (!reader.done) {
        const key = reader.uint32()
        const known = byTag[key >>> 3]
        if (known?.[1].wire === (key & 7)) found[known[0]] = known[1].read(reader, found[known[0]])
        else reader.skip(key & 7)
      }
      // Exactly the described fields were set, each by its own reader.
      return found as Decoded<Described>
    },
  }
}

function writeFields(
  to: ProtoWriter,
  descending: readonly [string, Field<unknown>][],
  value: Readonly<Record<string, unknown>>,
): void {
  for (const [name, field] of descending) {
    const one = value[name]
    if (one !== undefined) field.write(to, one)
  }
}

const scalar = <Value>(
  tag: number,
  wire: number,
  write: (to: ProtoWriter, value: Value) => void,
  read: (from: ProtoReader) => Value,
): Field<Value> => ({
  tag,
  wire,
  write(to, value) {
    write(to, value)
    to.varint(tag * 8 + wire)
  },
  read,
})

/** 64 bits without sign; a number is written as well. */
export const uint64 = (tag: number): Field<bigint | number> =>
  scalar<bigint | number>(
    tag,
    varintWire,
    (to, value) => to.varint(value),
    (from) => from.varint(),
  )
export const int64 = (tag: number): Field<bigint | number> =>
  scalar<bigint | number>(
    tag,
    varintWire,
    (to, value) => to.varint(value),
    (from) => BigInt.asIntN(64, from.varint()),
  )
/** 64 bits in which small negative numbers are short. */
export const sint64 = (tag: number): Field<bigint | number> =>
  scalar<bigint | number>(
    tag,
    varintWire,
    (to, value) => {
      const wide = BigInt(value)
      to.varint(BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n)))
    },
    (from) => {
      const coded = from.varint()
      return BigInt.asIntN(64, (coded >> 1n) ^ -(coded & 1n))
    },
  )
export const double = (tag: number): Field<number> =>
  scalar<number>(
    tag,
    fixed64Wire,
    (to, value) => {
      const bytes = Buffer.alloc(8)
      bytes.writeDoubleLE(value)
      to.bytes(bytes)
    },
    (from) => from.eight().readDoubleLE(),
  )
export const uint32 = (tag: number): Field<number> =>
  scalar<number>(
    tag,
    varintWire,
    (to, value) => to.varint(value),
    (from) => from.uint32(),
  )
/** Also for enumerations. */
export const int32 = (tag: number): Field<number> =>
  scalar<number>(
    tag,
    varintWire,
    (to, value) => to.varint(value),
    (from) => from.uint32() | 0,
  )
export const bool = (tag: number): Field<boolean> =>
  scalar<boolean>(
    tag,
    varintWire,
    (to, value) => to.varint(value ? 1 : 0),
    (from) => from.varint() !== 0n,
  )

export const bytes = (tag: number): Field<Uint8Array> =>
  scalar<Uint8Array>(
    tag,
    bytesWire,
    (to, value) => {
      to.bytes(value)
      to.varint(value.length)
    },
    (from) => from.bytes(),
  )
export const text = (tag: number): Field<string> =>
  scalar<string>(
    tag,
    bytesWire,
    (to, value) => {
      const before = to.written
      to.text(value)
      to.varint(to.written - before)
    },
    (from) => from.bytes().toString('utf8'),
  )

export function sub<Described extends Fields>(
  tag: number,
  type: Message<Described>,
): Field<Decoded<Described>> {
  const descending = Object.entries(type.fields).sort(([, a], [, b]) => b.tag - a.tag)
  return scalar<Decoded<Described>>(
    tag,
    bytesWire,
    (to, value) => {
      const before = to.written
      writeFields(to, descending, value)
      to.varint(to.written - before)
    },
    (from) => type.decode(from.bytes()),
  )
}

export const repeated = <Value>(field: Field<Value>): Field<readonly Value[]> => ({
  tag: field.tag,
  wire: field.wire,
  write(to, values) {
    for (let i = values.length - 1; i >= 0; i -= 1) field.write(to, values[i] as Value)
  },
  read(from, before) {
    // The list of this message alone: nobody else has seen it yet.
    const list = (before ?? []) as Value[]
    list.push(field.read(from, undefined))
    return list
  },
})

/** A map of texts. */
export const textMap = (tag: number): Field<Readonly<Record<string, string>>> =>
  mapOf(tag, text(2), '')

/** A map from texts; `otherwise` is what an entry without a value has. */
export function mapOf<Value>(
  tag: number,
  valueField: Field<Value>,
  otherwise: Value,
): Field<Readonly<Record<string, Value>>> {
  const keyField = text(1)
  const type = message({ key: keyField, value: valueField })
  return {
    tag,
    wire: bytesWire,
    write(to, values) {
      const keys = Object.keys(values)
      for (let i = keys.length - 1; i >= 0; i -= 1) {
        const key = keys[i] as string
        const before = to.written
        valueField.write(to, values[key] as Value)
        keyField.write(to, key)
        to.varint(to.written - before)
        to.varint(tag * 8 + bytesWire)
      }
    },
    read(from, before) {
      const { key = '', value = otherwise } = type.decode(from.bytes())
      return { ...before, [key]: value }
    },
  }
}
