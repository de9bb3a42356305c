import { randomUUID } from 'node:crypto'
import t from 'tap'
import { batch, cloudEvent, openTestApi, structured } from '../support/api.js'

interface One {
  readonly id: string
  readonly result: 'recorded' | 'repeated' | 'refused'
  readonly event_id?: string
  readonly stream?: string
  readonly revision?: string
  readonly problem?: { readonly code: string; readonly errors?: readonly { pointer: string }[] }
}
interface Answer {
  readonly results: readonly One[]
  readonly code?: string
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[]
}

t.test('evidence is recorded in every mode, and once', async (t) => {
  const api = await openTestApi(t)
  const token = await api.token('olga', 'operator')
  const post = (body: unknown, headers: Record<string, string>) =>
    api.send<Answer>('POST', '/v1/evidence', {
      token,
      headers,
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })

  await t.test('structured, and again with the same content', async (t) => {
    const event = cloudEvent()
    const first = await post(event, structured)
    t.match(first, {
      status: 200,
      body: { results: [{ result: 'recorded', stream: 'evidence-case-1', revision: '0' }] },
    })
    const again = await post({ ...event, data: { ...event.data } }, structured)
    t.match(again.body.results, [{ result: 'repeated', event_id: event.id, revision: '0' }])
  })

  await t.test('the id of an event is not taken for other content', async (t) => {
    const event = cloudEvent()
    await post(event, structured)
    const size = api.ledger.size()
    const other = { ...event, data: { ...event.data, size: 2 } }
    t.match(await post(other, structured), { status: 409, body: { code: 'EVENT_ID_REUSED' } })
    t.equal(api.ledger.size(), size)
  })

  await t.test('binary, with the bytes kept as they came', async (t) => {
    const bytes = '{ "any":   "form" }'
    const answer = await post(bytes, {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': 'batch 7/line 3',
      'ce-source': '/machines/4',
      'ce-type': 'reading.taken',
      'ce-stream': 'reading-4',
      'ce-time': '2026-11-01T10:00:00+02:00',
    })
    const [{ event_id: id = '' } = {}] = answer.body.results
    const event = await api.ledger.find(id)
    t.equal(Buffer.from(event?.data?.bytes ?? []).toString(), bytes)
    const shown = await api.send<Record<string, unknown>>('GET', `/v1/events/${id}`, { token })
    t.match(shown.body, {
      source: '/machines/4',
      time: '2026-11-01T10:00:00+02:00',
      writer: 'client',
      stream: 'reading-4',
      data: { any: 'form' },
    })
  })

  await t.test('a batch is answered event by event', async (t) => {
    const good = cloudEvent()
    const bad = cloudEvent({ data: { sha256: 'short', media_type: 'text/plain', size: 1 } })
    const answer = await post([good, bad, good], batch)
    t.match(answer, {
      status: 200,
      body: {
        results: [
          { id: good.id, result: 'recorded' },
          { id: bad.id, result: 'refused', problem: { code: 'EVENT_INVALID' } },
          { id: good.id, result: 'repeated' },
        ],
      },
    })
    t.equal(await api.ledger.find(bad.id), undefined)
  })
})

t.test(
  'a CloudEvent that is not acceptable is refused at its field, with nothing kept',
  async (t) => {
    const api = await openTestApi(t)
    const token = await api.token('olga', 'operator')
    const size = api.ledger.size()
    const send = (body: string | Uint8Array, headers: Record<string, string> = structured) =>
      api.send<Answer>('POST', '/v1/evidence', { token, headers, body })
    const event = (fields: Record<string, unknown>) => JSON.stringify(cloudEvent(fields))

    const refused = [
      ['another version', event({ specversion: '0.3' }), 422, '/specversion'],
      ['no type', event({ type: undefined }), 422, '/type'],
      ['an unknown extension', event({ namespace: 'prod' }), 422, '/namespace'],
      ['both forms of data', event({ data_base64: 'AA==' }), 422, undefined],
      ['no subject', event({ subject: undefined }), 422, '/subject'],
      ['another stream than its subject', event({ stream: 'evidence-other' }), 422, '/stream'],
      [
        'a stream of ours',
        event({ type: 'mine.happened', stream: 'asset-x', subject: 'x' }),
        403,
        undefined,
      ],
      ['no stream', event({ type: 'mine.happened', subject: undefined }), 422, undefined],
      [
        'a reserved stream',
        event({ type: 'mine.happened', stream: '$all', subject: undefined }),
        422,
        undefined,
      ],
      ['no JSON', '{"specversion":', 422, ''],
      ['duplicate keys', '{"specversion":"1.0","specversion":"1.0"}', 422, undefined],
      [
        'an integer beyond 2^53',
        event({}).replace('"size":1', '"size":9007199254740993'),
        422,
        undefined,
      ],
      ['too deep', `${'['.repeat(65)}${']'.repeat(65)}`, 422, ''],
    ] as const
    for (const [name, body, status, pointer] of refused) {
      const answer = await send(body)
      t.equal(answer.status, status, `${name}: ${answer.text}`)
      t.match(answer.headers.get('content-type'), /^application\/problem\+json/)
      if (pointer !== undefined && pointer !== '')
        t.ok(
          answer.body.errors?.some((error) => error.pointer === pointer),
          `${name} names ${pointer}: ${answer.text}`,
        )
    }

    const noUtf8 = await send(Uint8Array.from([0x7b, 0xff, 0x7d]))
    t.equal(noUtf8.status, 422)
    const tooMany = await send(
      JSON.stringify(Array.from({ length: 1_001 }, () => cloudEvent({ id: randomUUID() }))),
      batch,
    )
    t.match([422, 413].includes(tooMany.status), true, tooMany.text)
    const avro = await send('x', { 'content-type': 'application/cloudevents+avro' })
    t.match(avro, { status: 415, body: { code: 'CONTENT_TYPE_UNSUPPORTED' } })
    const tooLarge = await send(new Uint8Array(16 * 1024 * 1024 + 1))
    t.match(tooLarge, { status: 413, body: { code: 'REQUEST_TOO_LARGE' } })

    t.equal(api.ledger.size(), size, 'nothing was kept')
  },
)
