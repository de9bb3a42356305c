import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import type { LedgerVerifier } from '../ledger/verification.js'
import type { WitnessedCheckpoints, WitnessStatus } from '../ledger/witnessed.js'
import type { LedgerView } from '../runtime/ledger-view.js'
import type { ApiParts } from './parts.js'

/** What the server counts since its start. Labels are names of routes and results, never what was sent. */
export interface ApiCounters {
  request(method: string, route: string, status: number, seconds: number): void
  evidence(result: 'recorded' | 'repeated' | 'refused'): void
  live(change: 1 | -1): void
  text(
    ledger: LedgerView,
    tables: readonly { readonly table: string; readonly position: number }[],
    witnessed?: WitnessedCheckpoints,
    verifier?: LedgerVerifier,
  ): string
}

const label = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

export function createCounters(): ApiCounters {
  const requests = new Map<string, { count: number; seconds: number }>()
  const evidence = { recorded: 0, repeated: 0, refused: 0 }
  let liveClients = 0

  return {
    request(method, route, status, seconds) {
      const key = `method="${label(method)}",route="${label(route)}",status="${status}"`
      const counted = requests.get(key) ?? { count: 0, seconds: 0 }
      requests.set(key, { count: counted.count + 1, seconds: counted.seconds + seconds })
    },
    evidence(result) {
      evidence[result] += 1
    },
    live(change) {
      liveClients += change
    },
    text(ledger, tables, witnessed, verifier) {
      const metric = (
        name: string,
        type: 'counter' | 'gauge',
        help: string,
        values: readonly (readonly [string, number])[],
      ) => [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} ${type}`,
        ...values.map(([labels, value]) => `${name}${labels === '' ? '' : `{${labels}}`} ${value}`),
      ]
      const counted = [...requests]
      const size = ledger.size()
      const lines = [
        ...metric('fractalops_ledger_events', 'gauge', 'Events on the ledger.', [['', size]]),
        ...metric(
          'fractalops_ledger_checkpoint_size',
          'gauge',
          'Events that the latest checkpoint covers.',
          [['', ledger.checkpoint().size]],
        ),
        ...metric(
          'fractalops_http_requests_total',
          'counter',
          'Requests answered.',
          counted.map(([key, { count }]) => [key, count]),
        ),
        ...metric(
          'fractalops_http_request_seconds_total',
          'counter',
          'Time spent on answers.',
          counted.map(([key, { seconds }]) => [key, Number(seconds.toFixed(6))]),
        ),
        ...metric(
          'fractalops_evidence_events_total',
          'counter',
          'CloudEvents by what became of them.',
          Object.entries(evidence).map(([result, count]) => [`result="${result}"`, count]),
        ),
        ...(witnessed === undefined ? [] : witnessMetrics(ledger, witnessed, metric)),
        ...(verifier === undefined ? [] : verificationMetrics(verifier, metric)),
        ...metric('fractalops_live_clients', 'gauge', 'Open live streams.', [['', liveClients]]),
        ...metric(
          'fractalops_projection_lag_events',
          'gauge',
          'Events that a fact table has not seen.',
          tables.map(({ table, position }) => [
            `table="${label(table)}"`,
            Math.max(0, size - position),
          ]),
        ),
      ]
      return `${lines.join('\n')}\n`
    },
  }
}

type Metric = (
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  values: readonly (readonly [string, number])[],
) => readonly string[]

function witnessMetrics(
  ledger: LedgerView,
  witnessed: WitnessedCheckpoints,
  metric: Metric,
): readonly string[] {
  const all = witnessed.witnesses()
  const each = (value: (one: WitnessStatus) => number) =>
    all.map((one) => [`witness="${label(one.name)}"`, value(one)] as const)
  const size = ledger.checkpoint().size
  const lag = Math.max(0, size - (witnessed.latest()?.size ?? 0))
  return [
    ...metric(
      'fractalops_witnessed_lag_events',
      'gauge',
      'Events that the latest checkpoint covers and no witnessed one.',
      [['', lag]],
    ),
    ...metric(
      'fractalops_witness_size',
      'gauge',
      'Size of the last checkpoint that a witness cosigned since the start.',
      each((one) => one.size),
    ),
    ...metric(
      'fractalops_witness_failures',
      'gauge',
      'Requests to a witness that failed since the last that did not.',
      each(({ failures }) => failures),
    ),
    ...metric(
      'fractalops_witness_unreconciled',
      'gauge',
      'Whether a witness says that it saw a larger or another tree.',
      each(({ unreconciled }) => (unreconciled ? 1 : 0)),
    ),
  ]
}

function verificationMetrics(verifier: LedgerVerifier, metric: Metric): readonly string[] {
  const { size, atMs, passSize, bytesRead, damage } = verifier.status()
  return [
    ...metric(
      'fractalops_verified_size',
      'gauge',
      'Leaves that agreed with everything when they were last read from disk.',
      [['', size]],
    ),
    ...metric(
      'fractalops_verified_timestamp_seconds',
      'gauge',
      'When that was; 0 before the first time since the start.',
      [['', (atMs ?? 0) / 1000]],
    ),
    ...metric(
      'fractalops_verification_pass_size',
      'gauge',
      'Leaves that the present pass has read.',
      [['', passSize]],
    ),
    ...metric(
      'fractalops_verification_bytes_total',
      'counter',
      'Bytes that were read to verify the ledger.',
      [['', bytesRead]],
    ),
    ...metric(
      'fractalops_verification_damage',
      'gauge',
      'Damaged places that were found and not yet found to be whole again.',
      [['', damage?.count ?? 0]],
    ),
  ]
}

export const metrics =
  (
    { ledger, projections, witnessed, verifier }: ApiParts,
    counters: ApiCounters,
  ): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/metrics',
      { schema: { tags: ['operation'], summary: 'Counters in Prometheus text' } },
      async (_request, reply) => {
        void reply.type('text/plain; version=0.0.4; charset=utf-8')
        return counters.text(ledger, projections.progress(), witnessed, verifier)
      },
    )
  }
