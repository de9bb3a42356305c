import { randomUUID } from 'node:crypto'
import { canonicalBytes } from '../../src/contracts/canonical-json.js'
import { catalog } from '../../src/contracts/catalog.js'
import type { EventStore } from '../../src/ledger/event-store.js'
import { draft, request } from './ledger.js'

const streamOf = (category: string, subject: string) => `${category}-${subject}`

/** Appends the example of every contract of the catalogue, on streams of their categories. */
export async function appendEveryContract(
  ledger: EventStore,
  subject = randomUUID(),
): Promise<void> {
  for (const contract of catalog) {
    await ledger.append(
      request({
        stream: streamOf(contract.category, subject),
        events: [
          draft({
            type: contract.type,
            version: contract.version,
            writer: contract.writer,
            data: canonicalBytes(contract.example),
            metadata: canonicalBytes({
              occurred_at: '2026-01-02T03:04:05+02:00',
              source: 'urn:test',
            }),
          }),
        ],
      }),
    )
  }
}
