import t from 'tap'
import { canonicalBytes, canonicalText } from '../../src/contracts/canonical-json.js'
import { proposalApproved, proposalSubmitted } from '../../src/contracts/proposal.js'
import { mutationIntended } from '../../src/contracts/asset.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { verifyQueryProof } from '../../src/ledger/query-proof.js'
import { auditQueries, auditQuery } from '../../src/projections/audit-queries.js'
import { projectors } from '../../src/projections/tables.js'
import type { QueryProofFile } from '../../src/contracts/query-proof.js'
import { rebuildFacts } from '../../src/runtime/project.js'
import { queryProofOf } from '../../src/runtime/query-proof-view.js'
import { appendEveryContract } from '../support/contracts.js'
import { draft, openTestLedger, request } from '../support/ledger.js'
import { openTestWarehouse } from '../support/warehouse.js'

const parameters = {
  from: '2025-12-31 00:00:00.000',
  to: '2026-01-02 00:00:00.000',
  at: '2026-01-02 00:00:00.000',
  asset_id: 'web-01',
  minutes: 60,
}
const proposalId = '7c0de1d6-6f2e-4a4e-9d35-0c5b1a7d1c11'

t.test('named audit queries answer on the tables', async (t) => {
  const { ledger } = await openTestLedger(t)
  const { warehouse } = await openTestWarehouse(t)
  await appendEveryContract(ledger)
  const own = (actor: string, contract: typeof proposalSubmitted | typeof proposalApproved) =>
    draft({
      actor,
      type: contract.type,
      version: contract.version,
      writer: contract.writer,
      data: canonicalBytes(contract.example),
    })
  await ledger.append(
    request({
      stream: `proposal-${proposalId}`,
      events: [own('mallory', proposalSubmitted), own('mallory', proposalApproved)],
    }),
  )
  await ledger.append(
    request({
      stream: 'asset-web-09',
      events: [
        draft({
          type: mutationIntended.type,
          version: mutationIntended.version,
          writer: 'activity',
          data: canonicalBytes({ ...mutationIntended.example, proposal_id: proposalId }),
        }),
      ],
    }),
  )
  await ledger.checkpointCovering(ledger.size() - 1)
  const signal = new AbortController().signal
  await rebuildFacts({ reader: ledger, proofs: ledger, warehouse, projectors, signal })
  const ask = async (name: string) => {
    const query = auditQuery(name)
    const bound = Object.fromEntries(
      (query?.parameters ?? []).map((parameter) => [parameter, parameters[parameter]]),
    )
    return warehouse.query(query?.sql ?? '', bound)
  }

  for (const { name } of auditQueries) {
    await t.test(name, async (t) => {
      t.ok(Array.isArray(await ask(name)))
    })
  }

  await t.test('controls that failed show', async (t) => {
    const approvals = await ask('self-approvals')
    t.match(approvals.at(-1), { proposal_id: proposalId, approver: 'mallory' })
    const mutations = await ask('mutations-without-allow')
    t.ok(mutations.some(({ proposal_id }) => proposal_id === proposalId))
    const changes = await ask('changes')
    t.match(
      changes.map(({ proposer }) => proposer),
      ['ada', 'mallory'],
    )
    const states = await ask('asset-history')
    t.ok(states.length > 1)
    t.equal(states.at(-1)?.['valid_to'], null)
    t.equal((await ask('recorded-late')).length, 0, 'the examples say a later time')
    t.ok((await ask('access-at')).length > 0)
  })

  await t.test('the events behind rows are proven offline', async (t) => {
    const rows = await ask('changes')
    const trust = { keys: [ledger.vkey] }
    const parts = { reader: ledger, proofs: ledger }
    const answered = { sql: 'SELECT …', parameters: {}, position: ledger.size(), rows }
    const text = await queryProofOf(parts, answered)

    const report = verifyQueryProof(text, trust, nodeCrypto)
    t.match(report, { kind: 'query', rows: 2, events: 2, trusted: [ledger.vkey] })

    const file = JSON.parse(text) as QueryProofFile
    const [first] = file.rows
    const forged = (change: Partial<QueryProofFile>) => `${canonicalText({ ...file, ...change })}\n`
    const others: readonly Partial<QueryProofFile>[] = [
      { rows: file.rows.slice(1) },
      { leaves: file.leaves.slice(1) },
      { leaves: [...file.leaves].reverse() },
      { nodes: file.nodes.slice(1) },
      { rows: first === undefined ? [] : [{ ...first, leaf_hash: 'f'.repeat(64) }] },
      { rows: first === undefined ? [] : [{ ...first, event_id: proposalId }] },
    ]
    for (const change of others)
      t.throws(() => verifyQueryProof(forged(change), trust, nodeCrypto), {
        code: /PROOF_(MISMATCH|MALFORMED)/,
      })
    t.throws(() => verifyQueryProof(text, { keys: [] }, nodeCrypto), { code: 'PROOF_KEY_UNKNOWN' })
    for (let at = 0; at < text.length; at += 97) {
      const other = text.charCodeAt(at) ^ 1
      const flipped = text.slice(0, at) + String.fromCharCode(other) + text.slice(at + 1)
      // The question, and cells that name no event, are the warehouse's word: nothing is bound to them.
      const parsed = (() => {
        try {
          return verifyQueryProof(flipped, trust, nodeCrypto)
        } catch {
          return undefined
        }
      })()
      if (parsed !== undefined) t.equal(parsed.events, 2)
    }

    await t.test('rows that name other events, or none, are refused', async (t) => {
      const tampered = rows.map((row) => ({ ...row, event_id: proposalId }))
      await t.rejects(queryProofOf(parts, { ...answered, rows: tampered }), {
        code: 'PROOF_MISMATCH',
      })
      await t.rejects(queryProofOf(parts, { ...answered, rows: [{ n: 1 }] }), {
        code: 'REQUEST_INVALID',
      })
      await t.rejects(queryProofOf(parts, { ...answered, rows: [] }), { code: 'REQUEST_INVALID' })
    })
  })
})
