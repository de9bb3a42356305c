// Everything that can be checked without running the product. Two jobs run side by side; a job's
// output is shown only when it fails.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { repository } from './built.mjs'

const jobsMax = 2
const bin = (path) => join(repository, 'node_modules', path)

const checks = [
  { name: 'eslint', args: [bin('eslint/bin/eslint.js'), '--max-warnings', '0', '.'] },
  { name: 'types', args: [bin('typescript/bin/tsc'), '-p', 'tsconfig.json', '--noEmit'] },
  {
    name: 'types of the portal',
    args: [bin('typescript/bin/tsc'), '-p', 'src/portal/tsconfig.json', '--noEmit'],
    needs: 'src/portal/tsconfig.json',
  },
  {
    name: 'format',
    args: [bin('prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.'],
  },
  { name: 'architecture', args: ['scripts/test.mjs', '--no-build', 'test/architecture.test.ts'] },
].filter(({ needs }) => needs === undefined || existsSync(join(repository, needs)))

const runCheck = ({ name, args }) =>
  new Promise((done) => {
    const began = Date.now()
    const child = spawn(process.execPath, args, {
      cwd: repository,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const output = []
    child.stdout.on('data', (chunk) => output.push(chunk))
    child.stderr.on('data', (chunk) => output.push(chunk))
    child.on('error', (error) => done({ name, ok: false, output: error.message, seconds: 0 }))
    child.on('close', (code) =>
      done({
        name,
        ok: code === 0,
        output: Buffer.concat(output).toString(),
        seconds: (Date.now() - began) / 1000,
      }),
    )
  })

const waiting = [...checks]
let failed = 0
async function work() {
  for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
    const { name, ok, output, seconds } = await runCheck(check)
    if (!ok) {
      failed += 1
      console.log(output.trimEnd())
    }
    console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${seconds.toFixed(1)} s)`)
  }
}
await Promise.all(Array.from({ length: jobsMax }, work))
process.exitCode = failed === 0 ? 0 : 1
