// docs/benchmarks.md: what stands between the marks is written from a run, the rest by people.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { format } from 'prettier'
import { repository } from '../built.mjs'
import { asMarkdown } from './report.mjs'

const path = join(repository, 'docs', 'benchmarks.md')
export const begin = '<!-- written by npm run bench -- --write -->'
export const end = '<!-- end of what is written -->'

export async function writeDocument(run) {
  const text = readFileSync(path, 'utf8')
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from === -1 || to < from) throw new Error(`${path} has lost its marks ${begin} and ${end}`)
  const whole = `${text.slice(0, from)}${begin}\n\n${asMarkdown(run)}\n\n${text.slice(to)}`
  writeFileSync(path, await format(whole, { parser: 'markdown', printWidth: 100 }))
  return path
}
