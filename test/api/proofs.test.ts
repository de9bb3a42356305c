import t from 'tap'
import { parseSignedCheckpoint } from '../../src/ledger/checkpoint.js'
import { verifyBatchInclusion } from '../../src/ledger/batch-proof.js'
import { bytesOfBase64 } from '../../src/ledger/encoding.js'
import { verifyConsistency, verifyInclusion } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { parseTlogProof } from '../../src/ledger/tlog-proof.js'
import { openTestApi, type TestApi } from '../support/api.js'
import { collect, draft, request, wholeLog } from '../support/ledger.js'

const { sha256 } = nodeCrypto

interface Batch {
  positions: string[]
  size: string
  hashes: string[]
  checkpoint: string
}

/** Three published checkpoints, the empty one not counted. */
async function grown(api: TestApi) {
  for (let i = 0; i < 3; i += 1) {
    await api.ledger.append(request({ events: Array.from({ length: 20 }, () => draft()) }))
    await api.ledger.checkpointCovering(api.ledger.size() - 1)
  }
  return collect(api.ledger.checkpointsAfter(0))
}

t.test('one proof shows many events under one published checkpoint', async (t) => {
  const api = await openTestApi(t)
  const checkpoints = await grown(api)
  const log = await wholeLog(api.ledger)
  const ask = (body: unknown) =>
    api.send<Batch>('POST', '/v1/proofs/inclusion', { token: api.admin, body })

  const latest = await ask({ positions: ['9', '0', '41', '9'] })
  const older = await ask({ positions: ['0', '3'], size: String(checkpoints[1]?.size) })

  t.strictSame(latest.body.positions, ['0', '9', '41'])
  t.equal(latest.body.checkpoint, api.ledger.checkpoint().note)
  t.equal(older.body.checkpoint, checkpoints[1]?.note)
  for (const { status, body } of [latest, older]) {
    t.equal(status, 200)
    const { checkpoint } = parseSignedCheckpoint(body.checkpoint)
    t.equal(String(checkpoint.size), body.size)
    verifyBatchInclusion(sha256, {
      leaves: body.positions.map((position) => ({
        index: Number(position),
        leafHash: log[Number(position)]?.leafHash ?? new Uint8Array(),
      })),
      size: checkpoint.size,
      hashes: body.hashes.map(bytesOfBase64),
      root: checkpoint.root,
    })
  }
})

t.test('a tlog-proof of one event verifies with its leaf', async (t) => {
  const api = await openTestApi(t)
  await grown(api)
  const [, event] = await wholeLog(api.ledger)

  const answer = await api.send('GET', `/v1/events/${event?.leaf.id}/tlog-proof`, {
    token: api.admin,
  })

  t.equal(answer.status, 200)
  t.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8')
  t.match(answer.headers.get('content-disposition'), `${event?.leaf.id}.tlog-proof`)
  const { index, path, checkpointNote } = parseTlogProof(answer.text)
  const { size, root } = parseSignedCheckpoint(checkpointNote).checkpoint
  t.equal(index, 1)
  verifyInclusion(sha256, {
    leafHash: event?.leafHash ?? new Uint8Array(),
    index,
    size,
    path,
    root,
  })
})

t.test('every published checkpoint extends every one before it', async (t) => {
  const api = await openTestApi(t)
  const checkpoints = await grown(api)
  t.ok(checkpoints.length >= 3)

  for (const from of checkpoints) {
    for (const to of checkpoints.filter(({ size }) => size >= from.size)) {
      const answer = await api.send<{ proof: string[] }>(
        'GET',
        `/v1/consistency?from=${from.size}&to=${to.size}`,
        { token: api.admin },
      )
      const path = answer.body.proof.map(bytesOfBase64)
      const roots = { fromRoot: from.root, toRoot: to.root }
      verifyConsistency(sha256, { from: from.size, to: to.size, ...roots, path })
    }
  }
  const empty = await api.send<{ proof: string[] }>('GET', '/v1/consistency?from=0&to=5', {
    token: api.admin,
  })
  t.strictSame(empty.body.proof, [])
})

t.test('proofs beyond the published tree and of no leaves are refused by name', async (t) => {
  const api = await openTestApi(t)
  await grown(api)
  const size = api.ledger.checkpoint().size
  const asked = async (method: string, path: string, body?: unknown) => {
    const answer = await api.send<{ code: string }>(method, path, {
      token: api.admin,
      ...(body === undefined ? {} : { body }),
    })
    return [answer.status, answer.body.code]
  }
  const beyond = [422, 'TREE_RANGE']
  const malformed = [422, 'REQUEST_INVALID']

  for (const query of [
    `from=1&to=${size + 1}`,
    'from=5&to=4',
    'from=1&to=9007199254740993',
    `from=0&to=${size + 1}`,
  ])
    t.strictSame(await asked('GET', `/v1/consistency?${query}`), beyond, query)
  for (const query of ['from=-1&to=4', 'from=1', 'from=01&to=4', 'from=1&to=4&more=1'])
    t.strictSame(await asked('GET', `/v1/consistency?${query}`), malformed, query)
  for (const body of [
    { positions: [String(size)] },
    { positions: ['0'], size: String(size + 1) },
    { positions: ['0'], size: '0' },
    { positions: ['0'], size: '2' },
    { positions: ['9007199254740993'] },
  ])
    t.strictSame(await asked('POST', '/v1/proofs/inclusion', body), beyond, JSON.stringify(body))
  for (const body of [
    {},
    { positions: [] },
    { positions: [0] },
    { positions: ['-1'] },
    { positions: ['0'], more: true },
    { positions: Array.from({ length: 1_001 }, (_, i) => String(i)) },
  ])
    t.strictSame(await asked('POST', '/v1/proofs/inclusion', body), malformed)
})
