import type { Test } from 'tap'
import type { LineageView } from '../../src/contracts/lineage.js'
import { utf8 } from '../../src/ledger/encoding.js'
import { leafHash } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { parseProofFile, verifyProofFile } from '../../src/ledger/proof-file.js'
import { lineageOf } from '../../src/ontology/lineage-of.js'
import { linksOf } from '../../src/ontology/lineage-walk.js'
import { createProposalDirectory } from '../../src/proposals/directory.js'
import { ledgerIdOf } from '../../src/runtime/lineage-view.js'
import { emptyDesk, openTestApi, type TestApi } from './api.js'
import { storyOf } from './story.js'

const { sha256 } = nodeCrypto

/** An asset that was registered, mutated twice and seen changed. */
export async function openStory(t: Test) {
  const api = await openTestApi(t, {
    desk: (ledger) => {
      return { ...emptyDesk, ...createProposalDirectory(ledger) }
    },
  })
  const story = storyOf(api.ledger)
  await story.publishBundle()
  const registration = await story.register('web-01')
  const first = await story.mutate('web-01', 0)
  const seen = await story.observe('web-01', 2)
  const second = await story.mutate('web-01', 2)
  const refused = await story.propose('web-01', 3)
  await story.register('db-01')
  await api.ledger.checkpointCovering(api.ledger.size() - 1)
  return { api, story, registration, first, seen, second, refused }
}

export const ask = async (api: TestApi, id: string, query = '', token = api.admin) =>
  api.send<LineageView>('GET', `/v1/lineage/${id}?${query}`, { token })

/** The last parts of a name: its kind and id. */
export const short = (iri: string): string => iri.split(':').slice(4).join(' ')

/** The event of an edge, as its proof shows it: so that the edge needs no trust in who told it. */
export async function provenLinks(api: TestApi, proof: string): Promise<string[]> {
  const answer = await api.send('GET', proof, { token: api.admin })
  const report = verifyProofFile(answer.text, { keys: [api.ledger.vkey] }, nodeCrypto)
  const file = parseProofFile(answer.text)
  const salt = new Uint8Array()
  const event = {
    position: report.position,
    leaf: report.leaf,
    leafText: file.leaf,
    leafHash: leafHash(sha256, utf8(file.leaf)),
    data: report.data === null ? null : { bytes: report.data, salt },
    metadata: report.metadata === null ? null : { bytes: report.metadata, salt },
  }
  return linksOf(event, lineageOf(event, ledgerIdOf(api.ledger.origin))).map(
    ({ from, relation, to }) => [from, relation, to].join(' '),
  )
}
