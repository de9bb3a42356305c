import { ensureBuilt } from './built.mjs'

const began = Date.now()
try {
  const made = await ensureBuilt({ force: process.argv.includes('--force') })
  const what = made.length === 0 ? 'everything is up to date' : `built ${made.join(', ')}`
  console.error(`${what} in ${((Date.now() - began) / 1000).toFixed(1)} s`)
} catch (error) {
  console.error(`the build failed: ${error.message}`)
  process.exitCode = 1
}
