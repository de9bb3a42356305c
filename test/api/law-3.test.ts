import { randomUUID } from 'node:crypto'
import t from 'tap'
import { catalog } from '../../src/contracts/catalog.js'
import { batch, cloudEvent, openTestApi, structured } from '../support/api.js'

interface Refusal {
  readonly code: string
}
interface Results {
  readonly results: readonly { readonly result: string; readonly problem?: Refusal }[]
}

t.test(
  'no entrance takes an event of an activity, whatever the token, and nothing is appended',
  async (t) => {
    const api = await openTestApi(t)
    const everything = await api.token(
      'everybody',
      'proposer',
      'approver',
      'operator',
      'auditor',
      'workflow',
      'policy-admin',
    )
    const contracts = catalog.filter(({ writer }) => writer === 'activity')
    const before = api.ledger.size()
    t.ok(contracts.length >= 15, 'the catalogue tells of side effects')

    for (const token of [api.admin, everything]) {
      for (const { type, category, example } of contracts) {
        const places = [
          { subject: 'x' },
          { stream: `${category}-x` },
          { stream: 'order-1' },
          { stream: 'evidence-x', subject: 'x' },
        ]
        for (const place of places) {
          const event = cloudEvent({ type, subject: undefined, data: example, ...place })
          const single = await api.send<Refusal>('POST', '/v1/evidence', {
            token,
            headers: structured,
            body: JSON.stringify(event),
          })
          t.match(single, { status: 403, body: { code: 'WRITER_REFUSED' } }, `${type} structured`)

          const attributes = Object.entries({ ...event, data: undefined }).flatMap(
            ([name, value]) => (typeof value === 'string' ? [[`ce-${name}`, value]] : []),
          )
          const binary = await api.send<Refusal>('POST', '/v1/evidence', {
            token,
            headers: { ...Object.fromEntries(attributes), 'content-type': 'application/json' },
            body: JSON.stringify(example),
          })
          t.match(binary, { status: 403, body: { code: 'WRITER_REFUSED' } }, `${type} binary`)

          const many = await api.send<Results>('POST', '/v1/evidence', {
            token,
            headers: batch,
            body: JSON.stringify([event, { ...event, id: randomUUID() }]),
          })
          t.equal(many.status, 200, `${type} in a batch is answered event by event`)
          for (const one of many.body.results)
            t.match(one, { result: 'refused', problem: { code: 'WRITER_REFUSED' } })
        }
      }
    }

    t.equal(api.ledger.size(), before, 'nothing was appended')
  },
)

t.test('what other writers append is refused at the same entrance', async (t) => {
  const api = await openTestApi(t)
  const before = api.ledger.size()

  for (const contract of catalog.filter(
    ({ writer, category }) => writer !== 'activity' && category !== 'evidence',
  )) {
    const answer = await api.send<Refusal>('POST', '/v1/evidence', {
      token: api.admin,
      headers: structured,
      body: JSON.stringify(cloudEvent({ type: contract.type, data: contract.example })),
    })
    t.match(answer, { status: 403, body: { code: 'WRITER_REFUSED' } }, contract.type)
  }

  t.equal(api.ledger.size(), before)
})
