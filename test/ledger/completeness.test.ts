import t, { type Test } from 'tap'
import { canonicalText } from '../../src/contracts/canonical-json.js'
import type {
  PlacedLeaf,
  StreamProofFile,
  WindowProofFile,
} from '../../src/contracts/completeness.js'
import { EvidenceError } from '../../src/contracts/errors.js'
import { questionDigest } from '../../src/ledger/completeness.js'
import { base64Of, utf8 } from '../../src/ledger/encoding.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { verifyStreamProof } from '../../src/ledger/stream-proof.js'
import { verifyWindowProof } from '../../src/ledger/window-proof.js'
import { streamProofOf, windowProofOf } from '../../src/runtime/completeness-view.js'
import { headsOf } from '../support/heads.js'
import { draft, openTestLedger, request } from '../support/ledger.js'

const { sha256 } = nodeCrypto
const start = Date.UTC(2026, 0, 1)
const at = (seconds: number) => new Date(start + seconds * 1_000).toISOString()

/** A ledger with one event a second: streams order-0 to order-2, every fifth of the type order.paid. */
async function provenLedger(t: Test, count = 30) {
  const { ledger, clock } = await openTestLedger(t)
  const heads = await headsOf(t, ledger)
  const parts = { reader: ledger, proofs: ledger, heads, vkeys: [ledger.vkey] }
  const trust = { keys: [ledger.vkey] }
  const add = async (events: number, from = 0) => {
    for (let i = from; i < from + events; i += 1) {
      clock.nowMs = start + i * 1_000
      const type = i % 5 === 4 ? 'order.paid' : 'order.placed'
      await ledger.append(request({ stream: `order-${i % 3}`, events: [draft({ type })] }))
    }
  }
  await add(count)
  return {
    ledger,
    clock,
    heads,
    add,
    seal: () => heads.sealIfDue(clock.nowMs),
    trust,
    stream: (fields: { stream?: string; from?: number; to?: number } = {}) =>
      streamProofOf(parts, { project: 'default', stream: 'order-1', ...fields }),
    window: (fields: { type?: string; from?: string; to?: string } = {}) =>
      windowProofOf(parts, {
        project: 'default',
        type: 'order.paid',
        from: at(6),
        to: at(20),
        ...fields,
      }),
    verifyStream: (text: string) => verifyStreamProof(text, trust, nodeCrypto),
    verifyWindow: (text: string) => verifyWindowProof(text, trust, nodeCrypto),
  }
}

const streamOf = (text: string) => JSON.parse(text) as StreamProofFile
const windowOf = (text: string) => JSON.parse(text) as WindowProofFile
const textOf = (file: object) => `${canonicalText(file)}\n`
const refusal = (verify: () => unknown): string => {
  try {
    verify()
    return 'verified'
  } catch (error) {
    return error instanceof EvidenceError ? `${error.code}: ${error.message}` : String(error)
  }
}

t.test(
  'a stream is proven complete up to the checkpoint, the seal or its named head',
  async (t) => {
    const { stream, verifyStream, seal, add, ledger } = await provenLedger(t)

    const unsealed = verifyStream(await stream())
    t.match(unsealed, { events: 10, first: 0, last: 9, upTo: 'checkpoint', seal: null })

    await seal()
    await add(6, 30)
    const sealed = verifyStream(await stream())
    t.match(sealed, { events: 12, last: 11, upTo: 'checkpoint', seal: { size: 30, position: 30 } })
    t.match(
      sealed.statement,
      'all 12 events of stream order-1 up to revision 11, sealed at position 30 under checkpoint size 37; it has no other below that size',
    )

    const part = verifyStream(await stream({ from: 2, to: 5 }))
    t.match(part, { events: 4, first: 2, last: 5, upTo: 'head', seal: null })
    t.match(part.statement, /from revision 2 to 5 under .* complete up to this named head/)

    const file = streamOf(await stream())
    const { since: _, ...rest } = file
    t.equal(file.since?.length, ledger.size() - 30)
    t.match(
      refusal(() => verifyStream(textOf({ ...rest, since: null }))),
      /PROOF_MISMATCH/,
    )
  },
)

t.test(
  'a stream proof with an event dropped, moved, cut off or exchanged is refused by name',
  async (t) => {
    const { stream, verifyStream, seal, add } = await provenLedger(t)
    await seal()
    const older = streamOf(await stream())
    await add(9, 30)
    await seal()
    await add(6, 39)
    const text = await stream()
    const file = streamOf(text)
    const other = streamOf(await stream({ stream: 'order-2' }))
    t.equal(
      refusal(() => verifyStream(text)),
      'verified',
    )
    const refused = (fields: Partial<Record<keyof StreamProofFile, unknown>>, reason: RegExp) =>
      t.match(
        refusal(() => verifyStream(textOf({ ...file, ...fields }))),
        reason,
      )

    const { leaves, seal: own } = file
    if (own === null || older.seal === null || file.since === null) throw new Error('it is sealed')
    for (let drop = 1; drop < leaves.length - 1; drop += 1)
      refused(
        { leaves: leaves.filter((_, i) => i !== drop) },
        new RegExp(`revision ${drop} is missing: revision ${drop + 1} follows`),
      )
    refused({ leaves: leaves.slice(0, -1) }, /do not lead|revision 14 at position \d+ is left out/)
    refused({ leaves: leaves.slice(1) }, /PROOF_MISMATCH/)
    refused(
      { leaves: [leaves[1], leaves[0], ...leaves.slice(2)] },
      /revision 2 is missing|revision 0/,
    )
    refused({ leaves: other.leaves }, /is of the stream order-2/)
    refused(
      {
        leaves: leaves.map((one, i) =>
          i === 3 ? { ...one, index: String(Number(one.index) + 1) } : one,
        ),
      },
      /two leaves for position|do not lead/,
    )
    refused({ stream: 'order-2' }, /not of order-2/)
    refused(
      { seal: { ...own, head: { ...own.head, number: '11' } } },
      /does not lead to the root of the seal/,
    )
    refused({ seal: { ...own, head: null } }, /does not lead to the root of the seal/)
    refused(
      { seal: { ...own, way: { ...own.way, siblings: [] } } },
      /does not lead to the root of the seal/,
    )
    refused(
      { seal: { ...own, data: older.seal.data } },
      /data of the seal does not match its digest/,
    )
    refused({ seal: older.seal }, /of the \d+ leaves from position 30/)
    refused({ seal: { ...older.seal, index: own.index } }, /PROOF_MISMATCH/)
    refused({ seal: { ...own, ...leaves[0] } }, /is no seal of/)
    refused({ since: file.since.slice(0, -1) }, /of the \d+ leaves from position/)
    refused(
      { since: [file.since[1], file.since[0], ...file.since.slice(2)] },
      /do not lead|two leaves/,
    )
    refused({ nodes: file.nodes.slice(1) }, /PROOF_MISMATCH/)
    refused({ checkpoint: older.checkpoint }, /PROOF_MISMATCH/)
    refused({ note: 'x' } as object, /PROOF_MALFORMED/)
    refused({ keys: [] }, /PROOF_MALFORMED/)
  },
)

t.test(
  'a stream whose last events are hidden does not pass: the seal and the leaves since tell',
  async (t) => {
    const { stream, verifyStream, seal, add, ledger } = await provenLedger(t)
    await seal()
    await add(3, 30)
    const file = streamOf(await stream())
    const { leaves } = file
    if (file.since === null) throw new Error('it reaches the checkpoint')
    const sealedLast = leaves.filter(({ index }) => Number(index) < 30).length - 1

    const behind = refusal(() => verifyStream(textOf({ ...file, leaves: leaves.slice(0, -1) })))
    t.match(behind, new RegExp(`revision ${leaves.length - 1} at position \\d+ is left out`))
    // The hidden leaf stays in the tree, and the hashes are made to fit the file without it.
    const kept = leaves.slice(0, sealedLast)
    const places = [...kept.map(({ index }) => Number(index)), ...file.since.map((_, i) => 30 + i)]
    const nodes = await ledger.proveBatch(places, Number(file.checkpoint.split('\n')[1]))
    const hidden = { ...file, leaves: kept, nodes: nodes.map(base64Of) }
    t.match(
      refusal(() => verifyStream(textOf(hidden))),
      /reached number 9, the file ends at 8/,
    )
  },
)

t.test(
  'a window of one type is proven complete by its neighbours, the seal, or the leaves since',
  async (t) => {
    const { window, verifyWindow, seal, add, clock } = await provenLedger(t)

    const inside = verifyWindow(await window())
    t.match(inside, { events: 3, upTo: 'window', seal: null })
    t.match(inside.statement, /^all 3 events of type order.paid from .* no other can be recorded/)
    t.match(verifyWindow(await window({ from: at(5), to: at(8) })), { events: 0, upTo: 'window' })
    t.match(verifyWindow(await window({ from: at(-60), to: at(5) })), { events: 1, upTo: 'window' })
    t.match(verifyWindow(await window({ to: at(900) })), {
      events: 5,
      upTo: 'checkpoint',
      seal: null,
    })
    t.match(verifyWindow(await window({ type: 'order.lost', to: at(900) })), {
      events: 0,
      upTo: 'checkpoint',
    })

    await seal()
    await add(2, 40)
    clock.nowMs += 60_000
    await seal()
    const ended = verifyWindow(await window({ from: at(30), to: at(41) }))
    t.match(ended, { events: 0, upTo: 'window', seal: { size: 33 } })
    const never = verifyWindow(await window({ type: 'order.lost', from: at(0), to: at(41) }))
    t.match(never, { events: 0, upTo: 'window' })
    t.match(never.statement, /^no event of type order.lost .*sealed at position 33/)
    t.match(verifyWindow(await window({ to: at(900) })), { events: 5, upTo: 'checkpoint' })
    await t.rejects(window({ from: at(5), to: at(5) }), { code: 'REQUEST_INVALID' })
  },
)

t.test('a window proof with anything left out, forged or moved is refused by name', async (t) => {
  const { window, verifyWindow, seal, add, clock } = await provenLedger(t)
  const text = await window()
  const file = windowOf(text)
  const { before, after, leaves } = file
  const refused = (
    of: WindowProofFile,
    fields: Partial<Record<keyof WindowProofFile, unknown>>,
    reason: RegExp,
  ) =>
    t.match(
      refusal(() => verifyWindow(textOf({ ...of, ...fields }))),
      reason,
    )

  for (let drop = 0; drop < leaves.length; drop += 1)
    refused(
      file,
      { leaves: leaves.filter((_, i) => i !== drop) },
      /number \d of order.paid is missing/,
    )
  refused(file, { leaves: [leaves[1], leaves[0], leaves[2]] }, /is missing/)
  refused(file, { before: null }, /number 0 of order.paid is missing: number 1 follows/)
  refused(file, { before: null, leaves: [], after: null }, /PROOF_MISMATCH/)
  refused(file, { after: null }, /PROOF_MISMATCH/)
  refused(file, { before: leaves[0], leaves: leaves.slice(1) }, /before the window .* inside of it/)
  refused(
    file,
    { after: leaves[2], leaves: leaves.slice(0, 2) },
    /behind the window .* not behind it/,
  )
  const asked = (fields: Partial<WindowProofFile>) => {
    const all = { ...file, ...fields }
    return { ...fields, question_sha256: questionDigest(sha256, all) }
  }
  refused(file, { from: at(7) }, /digest of the question/)
  refused(file, asked({ from: at(3) }), /before the window was recorded/)
  refused(file, asked({ to: at(18) }), /outside of the window/)
  refused(file, asked({ to: at(26) }), /behind the window was recorded .* not behind it/)
  refused(file, asked({ from: at(12) }), /outside of the window/)
  refused(file, asked({ type: 'order.placed' }), /not order.placed/)
  refused(file, asked({ project: 'other' }), /not order.paid of other/)
  const forged = (one: PlacedLeaf | null, change: (leaf: string) => string) =>
    one === null ? null : { ...one, leaf: change(one.leaf) }
  refused(
    file,
    { after: forged(after, (leaf) => leaf.replace(/"time":"[^"]+"/, `"time":"${at(60)}"`)) },
    /do not lead to the root of the checkpoint/,
  )
  refused(
    file,
    { before: forged(before, (leaf) => leaf.replace('"writer":"client"', '"writer":"ledger"')) },
    /do not lead to the root of the checkpoint/,
  )

  await seal()
  const older = windowOf(await window({ to: at(900) }))
  await add(10, 30)
  clock.nowMs += 1_000
  await seal()
  const newer = windowOf(await window({ to: at(900) }))
  t.equal(
    refusal(() => verifyWindow(textOf(newer))),
    'verified',
  )
  refused(newer, { leaves: newer.leaves.slice(0, -1) }, /PROOF_MISMATCH/)
  refused(newer, { seal: older.seal }, /PROOF_MISMATCH/)
  refused(newer, { seal: null }, /PROOF_MISMATCH/)
  refused(newer, { last: newer.leaves[0] }, /PROOF_MISMATCH/)
})

t.test('no bit of a completeness proof is free', async (t) => {
  const { stream, window, trust, seal, add } = await provenLedger(t, 12)
  await seal()
  await add(4, 12)
  for (const [name, text, verify] of [
    ['stream', await stream(), verifyStreamProof],
    ['window', await window({ to: at(900) }), verifyWindowProof],
  ] as const) {
    const bytes = utf8(text)
    const wrong: string[] = []
    for (let place = 0; place < bytes.length; place += 1) {
      const changed = Uint8Array.from(bytes)
      changed[place] = (changed[place] ?? 0) ^ (1 << (place % 8))
      const answer = refusal(() => verify(changed, trust, nodeCrypto))
      if (!/^PROOF_(MALFORMED|MISMATCH)/.test(answer)) wrong.push(`${name} ${place}: ${answer}`)
    }
    t.strictSame(wrong, [])
    t.match(
      refusal(() => verify(text, { keys: [] }, nodeCrypto)),
      /^PROOF_KEY_UNKNOWN/,
    )
    t.match(
      refusal(() => verify(`${text}\n`, trust, nodeCrypto)),
      /^PROOF_MALFORMED/,
    )
  }
})

t.test('what one file cannot prove is refused with the way to ask for less', async (t) => {
  const { ledger, stream, window } = await provenLedger(t, 0)
  await t.rejects(window(), { code: 'HEADS_NOT_SEALED' })
  await t.rejects(stream(), { code: 'STREAM_NOT_FOUND' })
  for (let i = 0; i < 11; i += 1)
    await ledger.append(
      request({ stream: 'order-1', events: Array.from({ length: 1_000 }, () => draft()) }),
    )
  await t.rejects(stream(), { code: 'PROOF_TOO_LARGE', message: /10000 events/ })
  await t.rejects(window({ type: 'order.placed', from: at(-1) }), { code: 'PROOF_TOO_LARGE' })
  await t.rejects(stream({ from: 11_000 }), { code: 'REQUEST_INVALID' })
  await t.rejects(window({ type: 'order.lost', to: at(900) }), { code: 'HEADS_NOT_SEALED' })
  t.match(JSON.parse(await stream({ from: 9_999, to: 10_002 })), { since: null, seal: null })
})
