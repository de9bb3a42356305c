// Writes what is published from the contracts, or with --check says what is no longer equal to them.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ensureBuilt, repository } from './built.mjs'
import { generate, generatedFolders } from './generated.mjs'

const command = 'npm run codegen'

/** Committed files in generated folders that nothing generates any more. */
const orphans = (files) =>
  generatedFolders
    .filter((folder) => existsSync(join(repository, folder)))
    .flatMap((folder) => readdirSync(join(repository, folder)).map((name) => `${folder}/${name}`))
    .filter((path) => !files.has(path))

const present = (path) =>
  existsSync(join(repository, path)) ? readFileSync(join(repository, path), 'utf8') : undefined

async function main() {
  await ensureBuilt({ only: ['code'] })
  const files = await generate()
  const stale = [...files].filter(([path, text]) => present(path) !== text).map(([path]) => path)
  const left = orphans(files)

  if (process.argv.includes('--check')) {
    for (const path of stale)
      console.log(`${path} is not what the contracts say: run "${command}" and commit it`)
    for (const path of left)
      console.log(`${path} is no longer generated: run "${command}" and commit its removal`)
    return stale.length + left.length === 0 ? 0 : 1
  }

  for (const path of stale) {
    mkdirSync(dirname(join(repository, path)), { recursive: true })
    writeFileSync(join(repository, path), files.get(path))
  }
  for (const path of left) rmSync(join(repository, path))
  console.log(`${files.size} files, ${stale.length} written, ${left.length} removed`)
  return 0
}

process.exitCode = await main()
