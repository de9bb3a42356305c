import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import { openJournal } from '../../src/ledger/adapters/open-journal.js'
import { parseSignedCheckpoint } from '../../src/ledger/checkpoint.js'
import { verifyConsistency } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { parseVkey, verifyNote } from '../../src/ledger/note.js'
import { request } from './ledger.js'

/** What processes on a ledger folder heard from it; outlives them. */
export interface Heard {
  readonly acknowledged: Map<string, { readonly position: number; readonly revision: number }>
  /** Every checkpoint that was shown, as its note. */
  readonly notes: Set<string>
  /** Codes of errors, as they came. */
  readonly refusals: string[]
}

export const nothingHeard = (): Heard => ({
  acknowledged: new Map(),
  notes: new Set(),
  refusals: [],
})

const program = join(import.meta.dirname, 'appender.mjs')

/**
 * Runs `appender.mjs` (below `wrapper`, if there is one) and keeps what it hears, until it ends.
 * `onLine` may end it earlier. Answers how it ended.
 */
export async function runAppender(
  heard: Heard,
  options: {
    readonly args: readonly string[]
    readonly wrapper?: readonly string[]
    readonly env?: Readonly<Record<string, string>>
    readonly onStart?: (child: ChildProcess) => void
    readonly onLine?: (child: ChildProcess, line: string) => void
  },
): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  const [command = process.execPath, ...rest] = [
    ...(options.wrapper ?? []),
    process.execPath,
    program,
    ...options.args,
  ]
  const child = spawn(command, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env, NODE_OPTIONS: '' },
  })
  const ended = once(child, 'close')
  let complaints = ''
  child.stderr.on('data', (chunk) => (complaints += String(chunk)))
  try {
    options.onStart?.(child)
    for await (const line of createInterface({ input: child.stdout })) {
      hear(heard, line)
      options.onLine?.(child, line)
    }
    await ended
  } finally {
    child.kill('SIGKILL')
  }
  if (child.signalCode === null && child.exitCode !== 0 && child.exitCode !== 3)
    throw new Error(`the appender ended with ${child.exitCode}: ${complaints}`)
  return { code: child.exitCode, signal: child.signalCode }
}

/** A line that the kill cut off is not heard. */
function hear(heard: Heard, line: string) {
  const [, id = '', position, revision] = /^ack ([0-9a-f-]{36}) ([0-9]+) ([0-9]+)$/.exec(line) ?? []
  if (id !== '')
    heard.acknowledged.set(id, { position: Number(position), revision: Number(revision) })
  const [, note = ''] = /^checkpoint (.+)$/.exec(line) ?? []
  const text = Buffer.from(note, 'base64').toString()
  if (/\n— [^\n]+\n$/.test(text)) heard.notes.add(text)
  const [, code = ''] = /^(?:refused|failed) (\w+)$/.exec(line) ?? []
  if (code !== '') heard.refusals.push(code)
}

/**
 * Everything heard still holds: each acknowledged event is at its place with its content, no batch
 * is there in part, every checkpoint is one of this tree; and the ledger goes on.
 */
export async function checkHeard(folder: string, heard: Heard): Promise<void> {
  // Ended before it came to be, it is a ledger that nobody heard of.
  const isThere = existsSync(join(folder, 'ledger.json'))
  assert.ok(isThere || heard.notes.size + heard.acknowledged.size === 0, 'there is no ledger')
  if (isThere) assert.deepEqual((await fsck({ folder })).problems, [])
  const ledger = await openJournal({ folder, now: () => Date.now() })
  try {
    const there = new Map<string, { position: number; revision: number }>()
    const batches = new Map<string, { seen: number; size: number }>()
    for await (const { leaf, data, position } of ledger.readLog()) {
      there.set(leaf.id, { position, revision: Number(leaf.revision) })
      const content = Buffer.from(data?.bytes ?? []).toString()
      const [batch = '', size = '', id] = content.split(' ')
      // Others than the appender's: the ledger's own, and the one of the check before.
      if (leaf.content_type !== 'text/plain') continue
      assert.equal(id, leaf.id, 'an event has the content of another')
      assert.equal(content, `${batch} ${size} ${leaf.id} `.repeat(3), 'an event was changed')
      const seen = (batches.get(batch)?.seen ?? 0) + 1
      batches.set(batch, { seen, size: Number(size) })
    }
    for (const { seen, size } of batches.values()) assert.equal(seen, size, 'half a batch')
    for (const [id, place] of heard.acknowledged)
      assert.deepEqual(there.get(id), place, `the acknowledged event ${id}`)
    await checkNotes(ledger, heard.notes)
    await ledger.append(request({ stream: 'check-1' }))
  } finally {
    await ledger.close()
  }
}

async function checkNotes(
  ledger: Awaited<ReturnType<typeof openJournal>>,
  notes: ReadonlySet<string>,
) {
  const { sha256 } = nodeCrypto
  const latest = ledger.checkpoint()
  assert.equal(latest.size, ledger.size())
  const key = parseVkey(sha256, ledger.vkey)
  for (const text of notes) {
    const { note, checkpoint } = parseSignedCheckpoint(text)
    verifyNote(nodeCrypto, note, [key])
    const { size, root } = checkpoint
    if (size === 0) continue
    const path = await ledger.proveConsistency(size, latest.size)
    const proof = { from: size, fromRoot: root, to: latest.size, toRoot: latest.root, path }
    verifyConsistency(sha256, proof)
  }
}
