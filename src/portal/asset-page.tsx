import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { type FormEvent, useMemo, useState } from 'react'
import type { AssetView } from '../contracts/http.js'
import { EventRows } from './event-rows.js'
import { Replicas } from './mutation-evidence.js'
import {
  Chip,
  Expandable,
  Facts,
  Hash,
  Json,
  PageHead,
  ProblemNote,
  Section,
  Time,
  Waiting,
} from './parts.js'
import { assetQuery, eventsQuery } from './queries.js'
import { outcomeTone, sentence } from './words.js'

const route = getRouteApi('/assets/$id')
const positionForm = /^\d{1,16}$/

/** What a person typed, as the service reads it: a position, or a time in UTC. */
function momentOf(text: string): string | undefined {
  const wanted = text.trim()
  if (wanted === '') return undefined
  if (positionForm.test(wanted)) return `position:${wanted}`
  const time = Date.parse(/[zZ]$|[+-]\d\d:\d\d$/.test(wanted) ? wanted : `${wanted}Z`)
  return Number.isNaN(time) ? wanted : new Date(time).toISOString()
}

function AsOf({ at }: { readonly at: string | undefined }) {
  const navigate = route.useNavigate()
  const [text, setText] = useState(at?.replace('position:', '') ?? '')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    void navigate({ search: { at: momentOf(text) } })
  }
  return (
    <form className="filters" onSubmit={submit}>
      <label className="field">
        <span>State as of a UTC time or position</span>
        <input
          value={text}
          onChange={(event) => setText(event.target.value)}
          placeholder="2026-11-24T09:30:00 or 120"
          autoComplete="off"
          spellCheck={false}
        />
      </label>
      <button type="submit" className="button">
        Show
      </button>
      {at === undefined ? null : (
        <Link from="/assets/$id" to="." search={{}} className="button button-plain">
          Back to now
        </Link>
      )}
    </form>
  )
}

function State({ asset }: { readonly asset: AssetView }) {
  const { state } = asset
  return (
    <Section
      title="State"
      aside={<Chip tone={outcomeTone(state.run_state)}>{sentence(state.run_state)}</Chip>}
    >
      <Replicas replicas={state.replicas} />
      <Facts
        rows={[
          ['Wanted', `${state.desired.run_state}, ${state.desired.replicas} replicas`],
          ['State revision', asset.state_revision],
          ['Recorded', <Time key="r" value={asset.recorded_at} exact />],
          ['Position', asset.position],
          ['True up to position', asset.as_of],
          ['State digest', <Hash key="s" value={asset.state_sha256} label="state digest" />],
          [
            'Configuration digest',
            <Hash
              key="c"
              value={state.desired.configuration_sha256}
              label="configuration digest"
            />,
          ],
        ]}
      />
    </Section>
  )
}

function Specification({ asset }: { readonly asset: AssetView }) {
  const { spec } = asset
  return (
    <Section title="What it is">
      <Facts
        rows={[
          ['Kind', spec.kind],
          ['Role', spec.role],
          ['Command', <code key="c">{[spec.command, ...spec.arguments].join(' ')}</code>],
          ['Folder', <code key="f">{spec.folder}</code>],
          ['Health', <code key="h">{spec.health_url}</code>],
          ['Lifetime', spec.lifetime],
          ['Criticality', spec.criticality ?? 'not given'],
          ['Registered', <Time key="r" value={asset.registered_at} exact />],
          [
            'Specification digest',
            <Hash key="d" value={asset.spec_sha256} label="specification digest" />,
          ],
        ]}
      />
      <Expandable summary="Whole specification">
        <Json value={spec} label="Specification" />
      </Expandable>
    </Section>
  )
}

function History({ id }: { readonly id: string }) {
  const list = useInfiniteQuery(eventsQuery({ stream: `asset-${id}`, order: 'newest' }))
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data])
  return (
    <Section title="History">
      <EventRows
        list={list}
        rows={rows}
        caption={`Events of ${id}`}
        empty={{ title: 'No event yet', hint: 'What happens to the asset appears here.' }}
      />
    </Section>
  )
}

function Loaded({ asset }: { readonly asset: AssetView }) {
  return (
    <>
      {asset.mutation === null ? null : (
        <div className="note">
          <p>
            <Chip tone={outcomeTone(asset.mutation.status)}>{sentence(asset.mutation.status)}</Chip>{' '}
            {asset.mutation.operation} since <Time value={asset.mutation.since} />,{' '}
            <Link to="/proposals/$id" params={{ id: asset.mutation.proposal_id }}>
              see the proposal
            </Link>
          </p>
        </div>
      )}
      <div className="columns">
        <State asset={asset} />
        <Specification asset={asset} />
      </div>
    </>
  )
}

/** One asset: what it is, how it stands now or stood then, and everything that happened to it. */
export function AssetPage() {
  const { id } = route.useParams()
  const { at } = route.useSearch()
  const asset = useQuery(assetQuery(id, at))
  return (
    <>
      <PageHead
        title={id}
        lead={at === undefined ? undefined : `As it was at ${at.replace('position:', 'position ')}`}
        actions={
          <Link to="/proposals/new" search={{ asset: id }} className="button button-main">
            Propose a change
          </Link>
        }
      />
      <AsOf key={at ?? 'now'} at={at} />
      {asset.data !== undefined ? (
        <Loaded asset={asset.data} />
      ) : asset.isPending ? (
        <Waiting rows={8} />
      ) : (
        <ProblemNote error={asset.error} onRetry={() => void asset.refetch()} />
      )}
      <History id={id} />
    </>
  )
}
