import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { HudView } from '../contracts/http.js'
import { hudView, trustLevelOf } from '../runtime/hud.js'
import { principalOf } from './access.js'
import type { ApiParts } from './parts.js'

export const hud =
  ({ desk, health, ledger, witnessed }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/hud',
      {
        schema: {
          tags: ['proposals'],
          summary: 'What waits for me, runs, is blocked and why',
          response: { 200: HudView },
        },
      },
      async (request) => {
        const principal = principalOf(request)
        const [proposals, { parts }] = await Promise.all([desk.list(principal.project), health()])
        return hudView(principal, proposals, parts, ledger.size(), trustLevelOf(witnessed))
      },
    )
  }
