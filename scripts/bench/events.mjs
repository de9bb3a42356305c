// The events that every store is given: 500 bytes each, other bytes and another id every time.
import { randomBytes, randomUUID } from 'node:crypto'

export const eventBytes = 500
export const project = 'default'

// Cut from one pool, so that making events costs next to nothing beside storing them.
const pool = randomBytes(1024 * 1024)
const metadata = Buffer.from('{}')
let at = 0

function draft() {
  at = (at + 509) % (pool.length - eventBytes)
  return {
    id: randomUUID(),
    type: 'bench.happened',
    version: '0',
    writer: 'client',
    actor: 'bench',
    contentType: 'application/octet-stream',
    data: pool.subarray(at, at + eventBytes),
    metadata,
  }
}

export const drafts = (count) => Array.from({ length: count }, draft)
export const streamOf = (caller) => `bench-${caller}`
