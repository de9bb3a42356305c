import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import * as messages from '../../src/contracts/ledger-messages.js'
import type { Message } from '../../src/contracts/protobuf.js'
import { repository } from '../support/product.js'

const published = readFileSync(join(repository, 'schemas', 'ledger.v1.proto'), 'utf8')

/** Names and numbers of the fields of every message that is published. */
const described = new Map(
  [...published.matchAll(/^message (\w+) \{([^}]*)\}/gm)].map(([, name = '', body = '']) => [
    name,
    Object.fromEntries(
      [...body.matchAll(/(\w+) = (\d+);/g)].map(([, field = '', tag]) => [
        field.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
        Number(tag),
      ]),
    ),
  ]),
)

const isMessage = (value: unknown): value is Message<Record<string, never>> =>
  typeof value === 'object' && value !== null && 'fields' in value

t.test('what is published of the service of the ledger is what is spoken', async (t) => {
  const spoken = Object.entries(messages).flatMap(([name, value]) =>
    isMessage(value) ? [[name, value.fields] as const] : [],
  )

  for (const [name, fields] of spoken) {
    const tags = Object.entries(fields as Record<string, { tag: number }>).map(
      ([field, { tag }]) => [field, tag] as const,
    )
    t.strictSame(Object.fromEntries(tags), described.get(name), name)
  }
  t.ok(spoken.length > 25)
  t.match(published, `package ${messages.ledgerRpcName.replace('.Ledger', '')};`)
})
