import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { KeyHistoryView } from '../../src/contracts/http.js'
import { runCli, startProduct } from '../support/product.js'

t.test('a stopped ledger is given a new key, and who pinned the old one follows', async (t) => {
  const product = await startProduct(t, { flags: ['--components', 'ledger,api'] })
  const folder = mkdtempSync(join(tmpdir(), 'fractalops-keys-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const home = { HOME: folder, XDG_CONFIG_HOME: join(folder, 'config') }
  const at = ['--data', product.data]
  const first = (await product.request('GET', '/v1/checkpoint/key')).text.trim()
  const [event] = (await product.get<{ items: { id: string }[] }>('/v1/events?limit=1')).items
  const old = join(folder, 'old.proof.json')
  t.equal((await runCli(['prove', event?.id ?? '', '-o', old, ...at])).code, 0)
  t.equal((await runCli(['verify', old, '--pin'], home)).code, 3, 'pinned on first contact')
  t.match(await runCli(['key', 'rotate', ...at]), { code: 1, stderr: /in use by the process/ })
  await product.stop()

  t.match(await runCli(['key', 'rotate', ...at]), { code: 0, stdout: /signs from size/ })
  await product.start()

  const second = (await product.request('GET', '/v1/checkpoint/key')).text.trim()
  t.not(second, first)
  const { keys } = (await product.request<KeyHistoryView>('GET', '/v1/checkpoint/keys')).body
  t.match(keys, [{ vkey: first, signing_from: '0' }, { vkey: second }])
  const listed = await runCli(['key', 'list', '-o', folder, '--json', ...at])
  const { files } = JSON.parse(listed.stdout) as { files: string[] }
  t.equal(files.length, 1)
  const earlier = ['--earlier', files[0] ?? '']
  const recent = join(folder, 'new.proof.json')
  t.equal((await runCli(['prove', event?.id ?? '', '-o', recent, ...at])).code, 0)
  const codeOf = async (...args: string[]) => (await runCli(['verify', ...args], home)).code
  const last = (await product.get<{ items: { id: string }[] }>('/v1/events?order=newest&limit=1'))
    .items[0]
  const latest = join(folder, 'latest.proof.json')
  t.equal((await runCli(['prove', last?.id ?? '', '-o', latest, ...at])).code, 0)

  t.equal(await codeOf(old), 0, 'the pin holds for what the first key signed')
  t.equal(await codeOf(recent, '--key', second), 0, 'an old event stands under the new key')
  t.equal(await codeOf(old, '--key', second), 3)
  t.equal(await codeOf(old, '--key', second, ...earlier), 0)
  t.equal(await codeOf(latest, '--key', first, ...earlier), 0)
  t.equal(await codeOf(latest, '--key', first, '--earlier', old), 1, 'it tells of no key')
  t.match(await runCli(['verify', latest, ...earlier], home), { code: 0, stderr: /pin follows/ })
  t.equal(await codeOf(latest), 0, 'the pin has followed')
  await product.stop()
  t.match(await runCli(['key', 'list', ...at]), {
    code: 0,
    stdout: new RegExp(keys[1]?.event_id ?? '-'),
  })
  t.equal((await runCli(['fsck', ...at])).code, 0)
  t.equal((await runCli(['key', 'turn', ...at])).code, 2)
})
