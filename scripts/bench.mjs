// How fast the ledger is, as ratios: beside what the disk takes at best, and beside stores that are made to
// do the same work, all in one run on one machine. docs/benchmarks.md says what the figures mean.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ensureBuilt, repository } from './built.mjs'
import { writeDocument } from './bench/document.mjs'
import { figures } from './bench/figures.mjs'
import { isMemory, machineOf, makeFolder } from './bench/machine.mjs'
import { PeerMissing } from './bench/peers.mjs'
import { endServers } from './bench/processes.mjs'
import { asText } from './bench/report.mjs'

const { values } = parseArgs({
  options: {
    /** Figures, separated by commas; absent = all but those that must be asked for. */
    only: { type: 'string' },
    /** Length of one measured piece; a figure has several. */
    seconds: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '3' },
    callers: { type: 'string', default: '1,64,256,1024' },
    batches: { type: 'string', default: '1,100,1000' },
    /** Peers to measure beside the ledger; empty = none. */
    peers: { type: 'string', default: 'sqlite,lmdb,postgres,nats' },
    /** Sizes of the growth table in millions of events; minutes to an hour, so only when asked for. */
    growth: { type: 'string', default: '' },
    /** Parent of the data folders, on the disk to measure. */
    folder: { type: 'string' },
    /** Put the peers into the cache first. */
    install: { type: 'boolean', default: false },
    /** Write the result to a file. */
    json: { type: 'string' },
    /** Measure nothing: take the results of these files, later ones first in doubt. */
    from: { type: 'string', multiple: true },
    /** Write docs/benchmarks.md. */
    write: { type: 'boolean', default: false },
  },
})

const listOf = (text) => text.split(',').filter((one) => one !== '')

function numbersOf(name, text) {
  const numbers = listOf(text).map(Number)
  if (numbers.some((one) => !(one > 0)))
    throw new Error(`--${name} takes numbers above 0, not ${text}`)
  return numbers
}

function chosenFigures() {
  const asked = values.only === undefined ? undefined : listOf(values.only)
  for (const name of asked ?? [])
    if (figures[name] === undefined)
      throw new Error(`there is no figure ${name}: choose of ${Object.keys(figures).join(', ')}`)
  return Object.entries(figures).filter(([name, { isAsked }]) =>
    asked === undefined ? isAsked === undefined || isAsked(values) : asked.includes(name),
  )
}

async function measureAll() {
  const settings = {
    seconds: numbersOf('seconds', values.seconds)[0],
    rounds: numbersOf('rounds', values.rounds)[0],
    callers: numbersOf('callers', values.callers),
    batches: numbersOf('batches', values.batches),
    growth: numbersOf('growth', values.growth),
    peers: listOf(values.peers),
  }
  const chosen = chosenFigures()
  await ensureBuilt({ only: ['code', 'workflows'] })
  const { folder, remove } = makeFolder(values.folder)
  process.once('SIGINT', () => {
    endServers()
    remove()
    process.exit(130)
  })
  try {
    if (isMemory(folder)) console.error(`WARNING: ${folder} is memory. Name a disk with --folder.`)
    const machine = await machineOf(folder)
    const measured = {}
    for (const [name, figure] of chosen) {
      const run = { ...settings, folder: join(folder, name), say: (line) => console.error(line) }
      try {
        measured[name] = await figure.measure(run)
      } catch (error) {
        measured[name] = { title: figure.title, reason: error.message }
        if (error instanceof PeerMissing) continue
        // The other figures are still worth having; the run has failed all the same.
        console.error(error)
        measured[name].failed = true
        process.exitCode = 1
      }
    }
    return { machine, settings, figures: measured }
  } finally {
    remove()
  }
}

/** Results of earlier runs as one; the machine is that of the last. */
const readRuns = (files) =>
  files
    .map((file) => JSON.parse(readFileSync(file, 'utf8')))
    .reduce((all, run) => ({ ...run, figures: { ...all.figures, ...run.figures } }))

async function main() {
  if (values.install) {
    try {
      execFileSync(join(repository, 'scripts/bench/peers.sh'), { stdio: ['ignore', 2, 2] })
    } catch {
      console.error('some peers are missing; the run goes on without them')
    }
  }
  const run = values.from === undefined ? await measureAll() : readRuns(values.from)
  const json = `${JSON.stringify(run, null, 2)}\n`
  if (values.json !== undefined) writeFileSync(values.json, json)
  console.log(asText(run))
  if (values.from === undefined) console.log(`\n${json}`)
  if (values.write) {
    if (!run.machine.disk.durable)
      throw new Error('figures of a folder in memory are not written down')
    console.error(`written to ${await writeDocument(run)}`)
  }
}

await main()
