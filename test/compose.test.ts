import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createSessions } from '../src/api/sessions.js'
import { apiParts, openDomain } from '../src/compose.js'
import { startSealer } from '../src/compose-heads.js'
import { createClosing } from '../src/runtime/closing.js'
import { catalog } from '../src/contracts/catalog.js'
import { openTestLedger } from './support/ledger.js'

/** Everything that can be reached from a value through its properties, its own and inherited ones. */
function reachable(root: object): Map<object, string> {
  const found = new Map<object, string>()
  const waiting: { value: object; path: string }[] = [{ value: root, path: 'parts' }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, path } = next
    if (found.has(value)) continue
    found.set(value, path)
    const prototype: unknown = Object.getPrototypeOf(value)
    const isBuiltIn =
      prototype === Object.prototype || prototype === Function.prototype || prototype === null
    if (!isBuiltIn && typeof prototype === 'object')
      waiting.push({ value: prototype, path: `${path}.[[Prototype]]` })
    for (const key of Reflect.ownKeys(value)) {
      const descriptor = Reflect.getOwnPropertyDescriptor(value, key)
      for (const member of [descriptor?.value, descriptor?.get, descriptor?.set] as unknown[]) {
        if ((typeof member === 'object' && member !== null) || typeof member === 'function') {
          waiting.push({ value: member, path: `${path}.${String(key)}` })
        }
      }
    }
  }
  return found
}

t.test(
  'nothing that the API is handed holds the side-effect capability or the ledger itself',
  async (t) => {
    const { ledger, folder } = await openTestLedger(t)
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
    const closing = createClosing(log)
    t.teardown(() => closing.closeAll())
    const { heads } = await startSealer(ledger, folder, { log, closing })
    const domain = openDomain(ledger)
    const sessions = createSessions({
      key: new Uint8Array(32),
      identities: domain.identities,
      now: () => 0,
    })
    const health = () => Promise.resolve({ ready: true, parts: [] })
    const parts = apiParts(domain, sessions, {
      heads,
      warehouse: undefined,
      projection: undefined,
      health,
    })

    const found = reachable(parts)

    t.ok(found.size > 50, 'the walk saw the parts')
    t.notOk(found.has(ledger), 'the ledger is not among them')
    const members: readonly unknown[] = Object.values(ledger)
    t.notOk(
      members.some((member) => typeof member === 'function' && found.has(member)),
      'nor is any function of it',
    )
    for (const [value, path] of found) {
      if ('append' in value && typeof value.append === 'function') t.fail(`${path} can append`)
      if (typeof value === 'function' && /mint|sideEffect/i.test(value.name))
        t.fail(`${path} is ${value.name}`)
    }
  },
)

t.test(
  'both writers of the API refuse every contract of the activities, and append nothing',
  async (t) => {
    const { ledger } = await openTestLedger(t)
    const { recorder, clients } = openDomain(ledger)
    const before = ledger.size()

    for (const contract of catalog.filter(({ writer }) => writer !== 'recording')) {
      const stream = `${contract.category}-x`
      const place = { project: 'default', stream, expected: 'any' as const, actor: 'administrator' }
      await t.rejects(
        recorder.record({
          ...place,
          facts: [{ contract, id: randomUUID(), data: contract.example }],
        }),
        { code: 'WRITER_REFUSED' },
        contract.type,
      )
      const event = {
        id: randomUUID(),
        type: contract.type,
        actor: 'administrator',
        contentType: 'application/json',
        data: new Uint8Array(),
        metadata: new Uint8Array(),
      }
      const user = { name: 'administrator', access: ['administrator'] }
      for (const anywhere of [stream, 'order-1']) {
        await t.rejects(
          clients.appendClient({ ...place, stream: anywhere, events: [event], user }),
          { code: 'WRITER_REFUSED' },
          `${contract.type} on ${anywhere}`,
        )
      }
    }

    t.equal(ledger.size(), before)
  },
)
