// Runs the built product in the foreground, as if its command line had been called.
import { spawn } from 'node:child_process'
import { cli, ensureBuilt, repository } from './built.mjs'

/** Builds what is missing, runs `fractalops` with these arguments and ends as it ends. */
export async function runProduct(args) {
  await ensureBuilt()
  // Ctrl-C reaches this process two or three times: from the terminal, from npm, which passes on what
  // it hears, and perhaps again from an impatient user. In a process group of its own the product hears
  // of none of them by itself, so it is told here, exactly once.
  const child = spawn(process.execPath, [cli, ...args], {
    cwd: repository,
    stdio: 'inherit',
    detached: true,
  })

  let told = false
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (told) return
      told = true
      child.kill(signal)
    })
  }

  child.on('error', (error) => {
    console.error(`cannot start the product: ${error.message}`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1)
  })
}
