import type { EventContract } from '../contracts/event.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import type { Names } from './names.js'
import type { Triple } from './rdf.js'

/** Where a mapping stands when it tells of an event. */
export interface Telling {
  readonly names: Names
  readonly event: RecordedEvent
  /** What follows the category of the stream. */
  readonly subject: string
  /** The actor of the event. */
  readonly actor: string
}

/** What an event tells: the things it is there for, and statements. */
export interface Tale {
  readonly records: readonly string[]
  readonly triples: readonly Triple[]
}

export type Mapping = readonly [type: string, tell: (data: unknown, telling: Telling) => Tale]

/** How the data of one contract becomes statements. Data was read with the contract before. */
export const on = <Data>(
  contract: EventContract<Data>,
  tell: (data: Data, telling: Telling) => Tale,
): Mapping => [contract.type, (data, telling) => tell(data as Data, telling)]

/** A tale about one thing and what surrounds it. */
export const tale = (record: string, ...triples: readonly (readonly Triple[])[]): Tale => ({
  records: [record],
  triples: triples.flat(),
})
