import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readPasswordFile } from '../../src/runtime/adapters/password-file.js'
import { temporaryFolder } from '../support/ledger.js'

async function fileOf(t: Test, text: string, mode = 0o600): Promise<string> {
  const path = join(await temporaryFolder(t), 'users')
  await writeFile(path, text)
  await chmod(path, mode)
  return path
}

t.test('a user with the right password stands for a token, and nobody else does', async (t) => {
  const text = '# of the test bed\n\nadmin:changeit:administrator\r\nops:with:colons:ada\n'
  const users = await readPasswordFile(await fileOf(t, text))

  t.equal(users('admin', 'changeit'), 'administrator')
  t.equal(users('ops', 'with:colons'), 'ada')
  t.equal(users('admin', 'wrong'), undefined)
  t.equal(users('ops', 'changeit'), undefined)
  t.equal(users('', ''), undefined)
})

t.test('a file that is wrong, or that others may read, is refused by its place', async (t) => {
  const refused = async (path: string, message: RegExp) =>
    t.rejects(readPasswordFile(path), { code: 'CONFIGURATION_INVALID', message })

  await refused(await fileOf(t, 'admin:changeit:administrator', 0o644), /chmod 600/)
  await refused(await fileOf(t, 'a:b:c\nadmin\n'), /line 2/)
  await refused(await fileOf(t, 'a:b:no token\n'), /line 1/)
  await refused(await fileOf(t, 'a:b:c\na:d:c\n'), /names a twice/)
  await refused('/nowhere/users', /cannot be read/)
})
