import t from 'tap'
import { openTestApi } from '../support/api.js'

t.test('tokens open what their access roles allow, and nothing else', async (t) => {
  const api = await openTestApi(t)

  await t.test('without a token only what is public answers', async (t) => {
    for (const path of [
      '/livez',
      '/readyz',
      '/checkpoint',
      '/v1/checkpoint/key',
      '/openapi.json',
    ]) {
      t.equal((await api.send('GET', path)).status, 200, path)
    }
    const refused = await api.send<{ code: string; remedy: string }>('GET', '/v1/events')
    t.equal(refused.status, 401)
    t.equal(refused.body.code, 'TOKEN_MISSING')
    t.match(refused.headers.get('www-authenticate'), /^Bearer/)
    t.match(refused.headers.get('content-type'), /application\/problem\+json/)
    const wrong = await api.send<{ code: string }>('GET', '/v1/events', { token: 'fol_wrong' })
    t.equal(wrong.status, 401)
    t.equal(wrong.body.code, 'TOKEN_INVALID')
  })

  await t.test(
    'the administrator issues tokens, holds every role but approver, and is nobody’s approver',
    async (t) => {
      const me = await api.send<{ name: string; access: string[] }>('GET', '/v1/session', {
        token: api.admin,
      })
      t.equal(me.body.name, 'administrator')
      t.notOk(me.body.access.includes('approver'))
      t.ok(me.body.access.includes('proposer'))
      const auditor = await api.token('audrey', 'auditor')
      t.equal((await api.send('GET', '/v1/events', { token: auditor })).status, 200)
      const refused = await api.send<{ code: string; title: string }>('POST', '/v1/tokens', {
        token: auditor,
        body: { name: 'mallory', access: ['approver'] },
      })
      t.equal(refused.status, 403)
      t.match(refused.body.title, /administrator/)
    },
  )

  await t.test(
    'a name is given once, in any case of letters, and not one that the product uses',
    async (t) => {
      await api.token('ada', 'proposer')
      for (const name of ['ada', 'ADA', 'administrator', 'ledger']) {
        const again = await api.send<{ code: string }>('POST', '/v1/tokens', {
          token: api.admin,
          body: { name, access: ['auditor'] },
        })
        t.equal(again.status, 409, name)
      }
      const both = await Promise.all(
        [1, 2].map(() =>
          api.send('POST', '/v1/tokens', {
            token: api.admin,
            body: { name: 'twin', access: ['auditor'] },
          }),
        ),
      )
      t.strictSame(both.map(({ status }) => status).sort(), [201, 409])
    },
  )

  await t.test('a token of intake reads nothing', async (t) => {
    const intake = await api.token('collector', 'intake')
    t.equal((await api.send('GET', '/v1/events', { token: intake })).status, 403)
    t.equal((await api.send('GET', '/v1/live', { token: intake })).status, 403)
  })

  await t.test('roles that no token may have, and unknown ones, are refused by name', async (t) => {
    for (const access of [['administrator'], ['root'], []]) {
      const answer = await api.send<{ code: string; errors: { pointer: string }[] }>(
        'POST',
        '/v1/tokens',
        { token: api.admin, body: { name: 'eve', access } },
      )
      t.equal(answer.status, 422)
      t.match(answer.body.errors[0]?.pointer, /^\/access/)
    }
  })

  await t.test('a host or origin that is not ours is refused', async (t) => {
    const { status } = await api.app
      .inject({ url: '/livez', headers: { host: 'evil.example:4680' } })
      .then(({ statusCode }) => ({ status: statusCode }))
    t.equal(status, 403)
    const local = await api.app.inject({ url: '/livez', headers: { host: 'localhost:4680' } })
    t.equal(local.statusCode, 200)
  })
})

t.test('a sign-in link signs one browser in, once, until the token is revoked', async (t) => {
  const api = await openTestApi(t)
  const issued = await api.send<{ sign_in_url: string }>('POST', '/v1/tokens', {
    token: api.admin,
    body: { name: 'grace', access: ['approver'] },
  })
  const link = new URL(issued.body.sign_in_url)
  t.equal(link.origin, api.url)

  const first = await api.send('GET', link.pathname + link.search)
  t.equal(first.status, 303)
  const setCookie = first.headers.get('set-cookie') ?? ''
  t.match(setCookie, /HttpOnly/i)
  t.match(setCookie, /SameSite=Strict/i)
  const cookie = setCookie.split(';')[0] ?? ''
  t.equal(
    (await api.send('GET', link.pathname + link.search)).status,
    401,
    'the second time it is used up',
  )

  const me = await api.send<{ name: string }>('GET', '/v1/session', { headers: { cookie } })
  t.equal(me.body.name, 'grace')
  const forged = await api.send('GET', '/v1/session', { headers: { cookie: `${cookie}x` } })
  t.equal(forged.status, 401)

  const foreign = await api.send<{ code: string }>('POST', '/v1/session/links', {
    headers: { cookie, origin: 'http://127.0.0.1:1' },
  })
  t.equal(foreign.status, 403)
  t.equal(foreign.body.code, 'ORIGIN_REFUSED')
  t.equal(
    (await api.send('POST', '/v1/session/links', { headers: { cookie } })).status,
    403,
    'a request that names no origin is not taken either',
  )
  t.equal(
    (await api.send('POST', '/v1/session/links', { headers: { cookie, origin: api.url } })).status,
    201,
  )

  t.equal((await api.send('POST', '/v1/tokens/grace/revoke', { token: api.admin })).status, 200)
  t.equal((await api.send('GET', '/v1/session', { headers: { cookie } })).status, 401)
})

t.test('sessions and codes end with their time', async (t) => {
  const api = await openTestApi(t)
  const link = async () => {
    const made = await api.send<{ sign_in_url: string }>('POST', '/v1/session/links', {
      token: api.admin,
    })
    const url = new URL(made.body.sign_in_url)
    return url.pathname + url.search
  }
  const old = await link()
  api.clock.nowMs += 15 * 60 * 1000
  t.equal((await api.send('GET', old)).status, 401)

  const signedIn = await api.send('GET', await link())
  const cookie = (signedIn.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
  api.clock.nowMs += 12 * 60 * 60 * 1000 - 1
  t.equal((await api.send('GET', '/v1/session', { headers: { cookie } })).status, 200)
  api.clock.nowMs += 1
  t.equal((await api.send('GET', '/v1/session', { headers: { cookie } })).status, 401)
})
