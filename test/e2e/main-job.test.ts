import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import {
  approve,
  assetOf,
  change,
  greeting,
  holding,
  operation,
  people,
  propose,
  queried,
  reached,
  runningWeb,
  webSpec,
} from '../support/change.js'
import { freePorts, runCli, startProduct } from '../support/product.js'
import { requireTemporal } from '../support/temporal.js'

t.test(
  'a change is proposed, decided, executed and proven',
  { skip: requireTemporal(), timeout: 180_000 },
  async (t) => {
    const product = await startProduct(t)
    const who = await people(product)
    const folder = mkdtempSync(join(tmpdir(), 'fractalops-proof-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const port = await runningWeb(product, who, 'web-01')
    t.equal(await greeting(port), 'hello')
    const before = await assetOf(product, 'web-01')

    const { id } = await change(
      product,
      who,
      operation('web-01', 'configure', { configuration: '{"greeting":"good morning"}' }),
    )
    const configured = await holding(product, id, 'workflow.completed')

    t.equal(configured.status, 'completed')
    t.equal(configured.approvals.length, 1, 'policy asked for an approval and it was given')
    t.equal(await greeting(port), 'good morning', 'the process really changed')
    const types = configured.timeline.map((entry) => entry.type)
    for (const type of [
      'proposal.submitted',
      'policy.simulated',
      'proposal.routed',
      'proposal.approved',
      'proposal.enqueued',
      'workflow.started',
      'proposal.started',
      'policy.enforced',
      'evidence.captured',
      'asset.mutation-intended',
      'asset.mutated',
      'proposal.completed',
      'workflow.completed',
    ]) {
      t.ok(types.includes(type), `the timeline holds ${type}`)
    }
    t.ok(
      types.indexOf('asset.mutation-intended') < types.indexOf('asset.mutated'),
      'intent stands before outcome',
    )

    const shown = await runCli(['show', configured.id, '--data', product.data])
    t.equal(shown.code, 0, shown.stderr)
    for (const type of types) t.ok(shown.stdout.includes(type), `show lists ${type}`)

    const mutated = configured.timeline.find((entry) => entry.type === 'asset.mutated')
    const proofFile = join(folder, 'change.proof.json')
    const keyFile = join(folder, 'ledger.vkey')
    const vkey = (await product.request('GET', '/v1/checkpoint/key')).text.trim()
    writeFileSync(keyFile, `${vkey}\n`)
    const proven = await runCli([
      'prove',
      mutated?.event_id ?? '',
      '-o',
      proofFile,
      '--data',
      product.data,
    ])
    t.equal(proven.code, 0, proven.stderr)

    await t.test(
      'a later mutation leaves the earlier proof and the earlier state as they were',
      async (t) => {
        const later = await change(
          product,
          who,
          operation('web-01', 'configure', { configuration: '{"greeting":"good night"}' }),
        )
        t.equal(later.status, 'completed')
        t.equal(await greeting(port), 'good night')

        const then = await assetOf(product, 'web-01', `position:${mutated?.position ?? ''}`)
        const first = await assetOf(product, 'web-01', before.recorded_at)

        t.equal(then.event_id, mutated?.event_id)
        t.equal(first.state_sha256, before.state_sha256)
        t.not((await assetOf(product, 'web-01')).state_sha256, then.state_sha256)
        const again = await runCli([
          'prove',
          mutated?.event_id ?? '',
          '-o',
          join(folder, 'again.proof.json'),
          '--data',
          product.data,
        ])
        t.equal(again.code, 0, again.stderr)
        t.equal(
          (await runCli(['verify', join(folder, 'again.proof.json'), '--key', keyFile])).code,
          0,
        )
      },
    )

    await t.test('what policy denies or cannot decide never runs, and says why', async (t) => {
      const untouched = await assetOf(product, 'web-01')
      const denied = await change(product, who, operation('web-01', 'scale', { replicas: 12 }))
      t.equal(denied.status, 'denied')

      const blank = await freePorts(4)
      const spec: Record<string, unknown> = webSpec(blank, { role: 'blank' })
      delete spec['criticality']
      const registered = await change(product, who, {
        kind: 'asset-registration',
        asset_id: 'blank-01',
        operation: 'register',
        spec,
        reason: 'an asset that says too little',
      })
      t.equal(registered.status, 'completed')
      const undecided = await change(product, who, operation('blank-01', 'start'))
      t.equal(undecided.status, 'indeterminate')
      t.match(undecided.ended?.message, /criticality/)
      t.ok(undecided.ended?.resolvable_by, 'it says who can resolve it')

      for (const view of [denied, undecided]) {
        t.notOk(
          view.timeline.some((entry) => entry.type === 'workflow.started'),
          `${view.status} started nothing`,
        )
        t.equal(
          (await product.request('GET', `/v1/workflows/${view.id}`, { token: product.adminToken }))
            .status,
          404,
        )
        const rows = await queried<{ outcome: string; reasons: string }>(
          product,
          `SELECT outcome, toString(reasons) AS reasons FROM policy_decisions WHERE proposal_id = '${view.id}'`,
        )
        t.equal(rows[0]?.outcome, view.status === 'denied' ? 'deny' : 'indeterminate')
        t.ok((rows[0]?.reasons.length ?? 0) > 4, 'the reason is queryable')
      }
      t.equal((await assetOf(product, 'web-01')).state_sha256, untouched.state_sha256)
    })

    await t.test(
      'nobody approves what they proposed, and an approval names the digest that was shown',
      async (t) => {
        const both = await product.token('both-roles', 'proposer,approver')
        const own = await propose(
          product,
          both.token,
          operation('web-01', 'configure', { configuration: '{"greeting":"mine"}' }),
        )
        await reached(product, own.id, ['awaiting-approval'])

        const self = await product.request<{ code: string }>(
          'POST',
          `/v1/proposals/${own.id}/approvals`,
          { token: both.token, body: { proposal_digest: own.digest } },
        )
        t.equal(self.status, 403)
        t.equal(self.body.code, 'SELF_APPROVAL')
        const other = await product.request<{ code: string }>(
          'POST',
          `/v1/proposals/${own.id}/approvals`,
          { token: who.approver, body: { proposal_digest: 'f'.repeat(64) } },
        )
        t.equal(other.status, 409)
        t.equal(other.body.code, 'PROPOSAL_DIGEST_MISMATCH')
        const administrator = await product.request<{ code: string }>(
          'POST',
          `/v1/proposals/${own.id}/approvals`,
          { token: product.adminToken, body: { proposal_digest: own.digest } },
        )
        t.equal(administrator.status, 403)
        await approve(product, who.approver, own)
        t.equal((await reached(product, own.id)).status, 'completed')
      },
    )

    await t.test(
      'an execution that fails half way ends as failed, with what was observed',
      async (t) => {
        const failed = await change(
          product,
          who,
          operation('web-01', 'configure', {
            configuration: '{"greeting":"x","fail_health":true}',
          }),
        )

        t.equal(failed.status, 'failed')
        t.ok(failed.timeline.some((entry) => entry.type === 'asset.mutation-failed'))
        t.equal((await assetOf(product, 'web-01')).state.run_state, 'degraded')
      },
    )

    await t.test(
      'with the service stopped the proof verifies offline, and any flipped byte is named',
      async (t) => {
        const took = await product.stop()
        t.ok(took < 10_000, 'it stopped')

        t.equal((await runCli(['verify', proofFile, '--key', keyFile])).code, 0)
        t.equal(
          (await runCli(['verify', proofFile], { HOME: folder })).code,
          3,
          'without a pinned key',
        )
        const bytes = readFileSync(proofFile)
        for (const at of [
          5,
          60,
          300,
          Math.floor(bytes.length / 2),
          bytes.length - 80,
          bytes.length - 1,
        ]) {
          const flipped = Buffer.from(bytes)
          flipped[at] = (flipped[at] ?? 0) ^ 1
          const path = join(folder, 'flipped.proof.json')
          writeFileSync(path, flipped)
          const refused = await runCli(['verify', path, '--key', keyFile])
          t.equal(refused.code, 1, `byte ${at}`)
          t.ok(refused.stderr.length > 20, 'it says what does not match')
        }
        const fsck = await runCli(['fsck', '--data', product.data])
        t.equal(fsck.code, 0, fsck.stdout + fsck.stderr)
      },
    )
  },
)
