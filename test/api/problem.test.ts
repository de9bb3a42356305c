import fastify from 'fastify'
import t from 'tap'
import { replyWithProblem } from '../../src/api/problem.js'
import { EvidenceError } from '../../src/contracts/errors.js'

t.test('a caller that must wait is told how long, in whole seconds', async (t) => {
  const app = fastify()
  t.teardown(() => app.close())
  app.setErrorHandler(replyWithProblem)
  app.get('/busy', () => {
    throw new EvidenceError('LEDGER_BUSY', 'full', { details: { retryAfterMs: 1_500 } })
  })
  app.get('/disk', () => {
    throw new EvidenceError('DISK_FULL', 'full')
  })
  app.get('/conflict', () => {
    throw new EvidenceError('REVISION_CONFLICT', 'moved')
  })
  const told = async (path: string) => {
    const { statusCode, headers } = await app.inject(path)
    return [statusCode, headers['retry-after']]
  }

  t.strictSame(await told('/busy'), [429, '2'])
  t.strictSame(await told('/disk'), [503, '1'])
  t.strictSame(await told('/conflict'), [409, undefined])
})
