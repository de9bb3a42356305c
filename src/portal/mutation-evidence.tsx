import * as z from 'zod'
import { Difference, type ProcessReplica, ProcessState } from '../contracts/asset.js'
import { evidenceCaptured } from '../contracts/evidence.js'
import type { TimelineEntry } from '../contracts/http.js'
import { Differences } from './decision-card.js'
import { Chip, Empty, Expandable, Hash, Json, Section, Time } from './parts.js'
import { sentence, type Tone } from './words.js'

/** What the events of a mutation have in common, as far as this page shows it. */
const MutationData = z.object({
  asset_id: z.string(),
  operation: z.string().optional(),
  reason: z.string().optional(),
  state: ProcessState.optional(),
  changes: z.array(Difference).optional(),
})
type MutationData = z.infer<typeof MutationData>

const outcomes: Readonly<Record<string, readonly [Tone, string]>> = {
  'asset.registered': ['good', 'Registered'],
  'asset.mutated': ['good', 'Mutated and observed'],
  'asset.mutation-failed': ['bad', 'Failed'],
  'asset.mutation-indeterminate': ['unsure', 'Unknown until resolved'],
  'asset.resolved': ['info', 'Resolved by observation'],
}

interface AssetStory {
  readonly captured: readonly {
    readonly entry: TimelineEntry
    readonly data: z.infer<typeof evidenceCaptured.schema>
  }[]
  readonly outcomes: readonly { readonly entry: TimelineEntry; readonly data: MutationData }[]
}

function storiesOf(timeline: readonly TimelineEntry[]): ReadonlyMap<string, AssetStory> {
  const stories = new Map<string, AssetStory>()
  const storyOf = (asset: string) => stories.get(asset) ?? { captured: [], outcomes: [] }
  for (const entry of timeline) {
    const captured =
      entry.type === evidenceCaptured.type
        ? evidenceCaptured.schema.safeParse(entry.data).data
        : undefined
    if (captured !== undefined) {
      const story = storyOf(captured.asset_id)
      const item = { entry, data: captured }
      stories.set(captured.asset_id, { ...story, captured: [...story.captured, item] })
    }
    const outcome = entry.type in outcomes ? MutationData.safeParse(entry.data).data : undefined
    if (outcome !== undefined) {
      const story = storyOf(outcome.asset_id)
      const item = { entry, data: outcome }
      stories.set(outcome.asset_id, { ...story, outcomes: [...story.outcomes, item] })
    }
  }
  return stories
}

/** The replicas of a process: which process it was, where, and whether it answered. */
export function Replicas({ replicas }: { readonly replicas: readonly ProcessReplica[] }) {
  if (replicas.length === 0) return <p className="fine">No process.</p>
  return (
    <table className="table">
      <caption className="unseen">Replicas</caption>
      <thead>
        <tr>
          <th scope="col">Replica</th>
          <th scope="col">Port</th>
          <th scope="col">Pid</th>
          <th scope="col">Start time</th>
          <th scope="col">Health</th>
        </tr>
      </thead>
      <tbody>
        {replicas.map((replica) => (
          <tr key={`${replica.index} ${replica.pid ?? 'none'}`}>
            <td data-label="Replica">{replica.index}</td>
            <td data-label="Port">{replica.port}</td>
            <td data-label="Pid">{replica.pid ?? '–'}</td>
            <td data-label="Start time">{replica.start_time ?? '–'}</td>
            <td data-label="Health">
              <Chip tone={replica.healthy ? 'good' : 'bad'}>
                {replica.healthy ? 'Healthy' : 'Not healthy'}
              </Chip>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** An observation in short, where it has the shape that process controllers record. */
const Observed = z.object({
  replicas: z.array(
    z.looseObject({
      index: z.number(),
      pid: z.number().nullable(),
      port: z.number().nullable().default(null),
      health: z
        .looseObject({ status: z.number(), body: z.string().default('') })
        .or(z.looseObject({ error: z.string() })),
      violation: z.string().nullable().default(null),
    }),
  ),
})
type ObservedReplica = z.infer<typeof Observed>['replicas'][number]

const healthText = ({ health }: ObservedReplica) =>
  'status' in health ? `answered ${String(health.status)} ${String(health.body)}` : health.error

function ObservedReplicas({ observation }: { readonly observation: unknown }) {
  const observed = Observed.safeParse(observation)
  if (!observed.success) return null
  if (observed.data.replicas.length === 0) return <p>No process was running.</p>
  return (
    <ul className="observed">
      {observed.data.replicas.map((replica) => (
        <li key={`${replica.index} ${replica.pid ?? 'none'}`}>
          <span>pid {replica.pid ?? 'none'}</span>
          {replica.port === null ? null : <span>port {replica.port}</span>}
          <span>{healthText(replica)}</span>
          {replica.violation === null ? null : <Chip tone="bad">{replica.violation}</Chip>}
        </li>
      ))}
    </ul>
  )
}

function Phase({
  phase,
  story,
}: {
  readonly phase: 'before' | 'after'
  readonly story: AssetStory
}) {
  const items = story.captured.filter(({ data }) => data.phase === phase)
  return (
    <div className="phase">
      <h4>{sentence(phase)}</h4>
      {items.length === 0 ? <p className="fine">Nothing was captured.</p> : null}
      {items.map(({ entry, data }) => (
        <div key={entry.event_id}>
          <p className="fine">
            <Time value={entry.time} exact /> · {data.size} bytes
          </p>
          <ObservedReplicas observation={data.observation} />
          <div className="pair">
            <span className="fine">SHA-256</span>
            <Hash value={data.sha256} label="digest of the evidence" />
          </div>
          <Expandable summary="Whole observation">
            <Json value={data.observation} label={`Observation ${phase}`} />
          </Expandable>
        </div>
      ))}
    </div>
  )
}

/** What was seen of each asset before and after, and how its mutation ended. */
export function MutationEvidence({ timeline }: { readonly timeline: readonly TimelineEntry[] }) {
  const stories = storiesOf(timeline)
  if (stories.size === 0) {
    return (
      <Empty title="Nothing was touched">
        Evidence is captured before and after the execution; it has not begun.
      </Empty>
    )
  }
  return [...stories].map(([asset, story]) => (
    <Section key={asset} title={asset}>
      {story.outcomes.map(({ entry, data }) => {
        const [tone, words] = outcomes[entry.type] ?? ['quiet', entry.type]
        return (
          <div key={entry.event_id} className="outcome">
            <p className="verdict">
              <Chip tone={tone}>{words}</Chip>
              <Time value={entry.time} exact />
            </p>
            {data.reason === undefined ? null : <p>{data.reason}</p>}
            {data.changes === undefined ? null : (
              <Differences changes={data.changes} label={`Observed changes of ${asset}`} />
            )}
            {data.state === undefined ? null : <Replicas replicas={data.state.replicas} />}
          </div>
        )
      })}
      <div className="phases">
        <Phase phase="before" story={story} />
        <Phase phase="after" story={story} />
      </div>
    </Section>
  ))
}
