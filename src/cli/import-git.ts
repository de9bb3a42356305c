import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { basename, resolve } from 'node:path'
import { EvidenceError } from '../contracts/errors.js'
import type { EvidenceResponse } from '../contracts/http.js'
import type * as z from 'zod'
import type { Context } from './command.js'
import { type Client, connect, type ConnectionFlags } from './connection.js'
import { printJson, progressBar } from './print.js'

const batchMax = 500
const commitBytesMax = 1024 * 1024
const commitsMax = 5_000_000

interface Commit {
  readonly hash: string
  readonly bytes: Buffer
}

/** Records the commits of a git repository; running it again records only what is new. */
export async function importGit(
  { path, name: wanted, json }: { path: string; name: string | undefined; json: boolean },
  connection: ConnectionFlags,
  context: Context,
): Promise<number> {
  const folder = resolve(context.cwd, path)
  const name = (wanted ?? basename(folder)).replaceAll(/[^A-Za-z0-9._~-]/g, '-').slice(0, 100)
  const client = connect(connection, context)
  const hashes = await commitsOf(folder)
  const counts = { recorded: 0, repeated: 0 }
  const bar = progressBar(context.terminal, 'commits')
  try {
    let batch: unknown[] = []
    let done = 0
    for await (const commit of readCommits(folder, hashes)) {
      batch.push(eventOf(name, commit))
      done += 1
      if (batch.length === batchMax || done === hashes.length) {
        await send(client, batch, counts)
        batch = []
        bar.update(done, hashes.length)
      }
    }
  } finally {
    bar.end()
  }
  if (json) printJson(context.terminal, { ...counts, stream: `evidence-git-${name}` })
  else
    context.terminal.out(
      `${counts.recorded} commits recorded, ${counts.repeated} were there already (stream evidence-git-${name})\n`,
    )
  return 0
}

const notRepository = (folder: string, detail: string) =>
  new EvidenceError(
    'REQUEST_INVALID',
    `${folder} cannot be imported: ${detail.trim().split('\n')[0] ?? ''}`,
  )

/** Every commit that the present branch reaches, oldest first. */
async function commitsOf(folder: string): Promise<string[]> {
  const git = spawn('git', ['-C', folder, 'rev-list', '--reverse', 'HEAD'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const failed = once(git, 'error').then(([cause]) => {
    throw new EvidenceError('REQUEST_INVALID', 'git is not installed', { cause })
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  git.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  git.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  const [code] = (await Promise.race([once(git, 'close'), failed])) as [number | null]
  if (code !== 0) throw notRepository(folder, Buffer.concat(err).toString())
  const hashes = Buffer.concat(out).toString().split('\n').filter(Boolean)
  if (hashes.length > commitsMax)
    throw notRepository(folder, `it has more than ${commitsMax} commits`)
  return hashes
}

/** The raw commit objects, through one `git cat-file --batch`. */
async function* readCommits(folder: string, hashes: readonly string[]): AsyncGenerator<Commit> {
  const git = spawn('git', ['-C', folder, 'cat-file', '--batch'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  // Written at once and read as it comes: git itself waits while its output is full.
  git.stdin.end(hashes.map((hash) => `${hash}\n`).join(''))
  let pending = Buffer.alloc(0)
  for await (const chunk of git.stdout as AsyncIterable<Buffer>) {
    pending = Buffer.concat([pending, chunk])
    for (;;) {
      const line = pending.indexOf(10)
      if (line === -1) break
      const [hash = '', type, size] = pending.subarray(0, line).toString().split(' ')
      const length = Number(size)
      if (type !== 'commit' || !Number.isSafeInteger(length) || length > commitBytesMax) {
        throw notRepository(
          folder,
          `the object ${hash} is no commit of at most ${commitBytesMax} bytes`,
        )
      }
      if (pending.length < line + 1 + length + 1) break
      yield { hash, bytes: Buffer.from(pending.subarray(line + 1, line + 1 + length)) }
      pending = pending.subarray(line + 1 + length + 1)
    }
  }
}

/** Name and time of the author or committer, as a commit object states them. */
function person(
  headers: string,
  who: 'author' | 'committer',
): { readonly name: string; readonly at: string } {
  const [, name = '', seconds = '0'] =
    new RegExp(`^${who} (.*?) ?<[^>\\n]*> (\\d+) [+-]\\d{4}$`, 'm').exec(headers) ?? []
  const milliseconds = Math.min(Number(seconds) * 1000, 8_640_000_000_000_000)
  return { name: name.slice(0, 500), at: new Date(milliseconds).toISOString() }
}

function eventOf(repository: string, { hash, bytes }: Commit) {
  const text = bytes.toString('utf8')
  const blank = text.indexOf('\n\n')
  const headers = blank === -1 ? text : text.slice(0, blank)
  const subject = (blank === -1 ? '' : text.slice(blank + 2)).split('\n')[0] ?? ''
  const author = person(headers, 'author')
  const committer = person(headers, 'committer')
  return {
    specversion: '1.0',
    id: hash,
    source: `git:${repository}`,
    type: 'evidence.recorded',
    subject: `git-${repository}`,
    time: committer.at,
    datacontenttype: 'application/json',
    data: {
      sha256: createHash('sha256').update(bytes).digest('hex'),
      media_type: 'application/vnd.git-commit',
      size: bytes.length,
      location: `git:${hash}`,
      description: subject.slice(0, 1000),
      attributes: {
        'git.repository': repository,
        'git.commit': hash,
        'git.author': author.name,
        'git.authored_at': author.at,
        'git.committed_at': committer.at,
      },
    },
  }
}

async function send(
  client: Client,
  batch: readonly unknown[],
  counts: { recorded: number; repeated: number },
): Promise<void> {
  const { results } = await client.post<z.infer<typeof EvidenceResponse>>('/v1/evidence', batch, {
    'content-type': 'application/cloudevents-batch+json',
  })
  for (const { id, result, problem } of results) {
    if (result === 'refused')
      throw new EvidenceError(
        'EVENT_INVALID',
        `the commit ${id} was refused: ${problem?.title ?? 'no reason given'}`,
      )
    counts[result] += 1
  }
}
