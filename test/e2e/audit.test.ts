import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { AuditAnswer } from '../../src/contracts/audit.js'
import type { WindowProofFile } from '../../src/contracts/completeness.js'
import { people, propose, queried, webSpec } from '../support/change.js'
import { runCli, startProduct } from '../support/product.js'

t.test('an auditor takes answers and proofs away and verifies them offline', async (t) => {
  const product = await startProduct(t, {
    flags: ['--components', 'ledger,warehouse,projector,api'],
  })
  const { proposer } = await people(product)
  for (const asset_id of ['web-01', 'web-02'])
    await propose(product, proposer, {
      kind: 'asset-registration',
      asset_id,
      operation: 'register',
      spec: webSpec(4_000),
      reason: 'the test proposes it',
    })
  await queried(
    product,
    "SELECT position FROM proposals WHERE event = 'proposal.submitted'",
    (rows) => rows.length === 2,
  )
  const from = new Date(Date.now() - 3_600_000).toISOString()
  const to = new Date(Date.now() + 3_600_000).toISOString()
  const [answerFile, population] = ['answer', 'population'].map((name) =>
    join(product.data, `${name}.json`),
  ) as [string, string]
  const key = (await product.request('GET', '/v1/checkpoint/key')).text.trim()

  const ran = await runCli([
    ...['audit', 'changes', '--from', from, '--to', to, '--json', '--data', product.data],
    ...['--proof', answerFile, '--population', population],
  ])
  t.equal(ran.code, 0, ran.stderr)
  const answer = JSON.parse(ran.stdout) as AuditAnswer
  const csv = await runCli([
    'query',
    'SELECT type, position, event_id, leaf_hash FROM events ORDER BY position LIMIT 1',
    ...['--format', 'csv', '--data', product.data],
  ])
  t.match(csv.stdout, /^type,position,event_id,leaf_hash\r\nledger\.bootstrapped,0,/)
  const none = await runCli([
    ...['audit', 'self-approvals', '--from', from, '--to', to, '--data', product.data],
  ])
  t.equal(none.code, 0, none.stderr)
  const wrong = await runCli(['audit', 'changes', '--at', to, '--data', product.data])
  t.equal(wrong.code, 1)
  t.match(wrong.stderr, /takes no at/)
  const list = await runCli(['audit', '--data', product.data])
  t.match(list.stdout, /mutations-without-allow/)
  await product.stop()

  const verified = await runCli(['verify', answerFile, '--key', key])
  t.equal(verified.code, 0, verified.stderr)
  t.match(verified.stdout, /2 rows of a query name 2 events/)
  const complete = await runCli(['verify', population, '--key', key])
  t.equal(complete.code, 0, complete.stderr)
  t.match(complete.stdout, /all 2 events of type proposal.submitted/)
  const { leaves } = JSON.parse(readFileSync(population, 'utf8')) as WindowProofFile
  t.strictSame(
    leaves.map(({ index }) => index),
    answer.rows.map(({ position }) => position),
    'the rows are the population',
  )
})
