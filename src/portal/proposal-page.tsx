import * as Tabs from '@radix-ui/react-tabs'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ProposalView } from '../contracts/http.js'
import { DecisionCard, PredictedDiff } from './decision-card.js'
import { MutationEvidence } from './mutation-evidence.js'
import {
  Empty,
  Facts,
  Hash,
  Json,
  PageHead,
  ProblemNote,
  Section,
  StatusChip,
  Time,
  Waiting,
} from './parts.js'
import { ProofPanel } from './proof-panel.js'
import { proposalTabs } from './proposal-tabs.js'
import { proposalQuery } from './queries.js'
import {
  approveStep,
  cancelStep,
  commentStep,
  rejectStep,
  StepDialog,
  withdrawStep,
} from './step-dialog.js'
import { Timeline } from './timeline.js'
import { proposalTitle, sentence } from './words.js'

const route = getRouteApi('/proposals/$id')

function Steps({ proposal }: { readonly proposal: ProposalView }) {
  const { may } = proposal
  return (
    <>
      {may.approve ? <StepDialog step={approveStep} proposal={proposal} /> : null}
      {may.reject ? <StepDialog step={rejectStep} proposal={proposal} /> : null}
      {may.withdraw ? <StepDialog step={withdrawStep} proposal={proposal} /> : null}
      {may.cancel ? <StepDialog step={cancelStep} proposal={proposal} /> : null}
      {may.comment ? <StepDialog step={commentStep} proposal={proposal} /> : null}
    </>
  )
}

function Standing({ proposal }: { readonly proposal: ProposalView }) {
  const { ended } = proposal
  const words = ended?.message ?? proposal.waiting_for
  if (words === null) return null
  const isBad = ['failed', 'denied', 'rejected'].includes(proposal.status)
  return (
    <div className={isBad ? 'note note-bad' : 'note'}>
      <p>{words}</p>
      {ended?.resolvable_by === undefined ? null : (
        <p className="fine">
          <code>{ended.code}</code> · can be resolved by {ended.resolvable_by}
        </p>
      )}
    </div>
  )
}

/** The assets that change, or the kind of change that is about none. */
const subjectRow = ({ asset_ids, kind, subject }: ProposalView) =>
  subject !== undefined
    ? ([sentence(kind), subject] as const)
    : ([
        asset_ids.length === 1 ? 'Asset' : 'Assets',
        <span key="a" className="chips">
          {asset_ids.map((asset) => (
            <Link key={asset} to="/assets/$id" params={{ id: asset }}>
              {asset}
            </Link>
          ))}
        </span>,
      ] as const)

/** What a change that is about no asset would set, as its specification says it. */
function Specified({ proposal }: { readonly proposal: ProposalView }) {
  const wordsOf = (value: unknown): string =>
    Array.isArray(value)
      ? value.map(wordsOf).join(', ')
      : typeof value === 'string'
        ? value
        : JSON.stringify(value)
  const rows = Object.entries(proposal.spec).map(
    ([name, value]) => [sentence(name), wordsOf(value)] as const,
  )
  return <Facts rows={rows} />
}

function Request({ proposal }: { readonly proposal: ProposalView }) {
  return (
    <Section title="Request">
      <Facts
        rows={[
          ['Proposed by', proposal.proposer],
          ['Submitted', <Time key="t" value={proposal.submitted_at} exact />],
          ['Expires', <Time key="e" value={proposal.expires_at} exact />],
          subjectRow(proposal),
          ...(proposal.ticket === undefined ? [] : [['Ticket', proposal.ticket] as const]),
          ['Digest', <Hash key="d" value={proposal.digest} label="proposal digest" />],
          ['Proposal id', <Hash key="i" value={proposal.id} label="proposal id" />],
        ]}
      />
      {Object.keys(proposal.spec).length === 0 || proposal.subject !== undefined ? null : (
        <Json value={proposal.spec} label="Parameters of the operation" />
      )}
    </Section>
  )
}

function Voices({ proposal }: { readonly proposal: ProposalView }) {
  const { approvals, comments } = proposal
  if (approvals.length + comments.length === 0 && proposal.approvals_required === 0) return null
  return (
    <Section
      title="Approvals and comments"
      aside={
        <span className="count">
          {proposal.approvals_given} of {proposal.approvals_required}
        </span>
      }
    >
      {approvals.length + comments.length === 0 ? <Empty title="Nobody has decided yet" /> : null}
      <ul className="voices">
        {approvals.map((approval) => (
          <li key={approval.event_id}>
            <p>
              <strong>{approval.actor}</strong> approved <Time value={approval.at} />
            </p>
            {approval.comment === undefined ? null : <p>{approval.comment}</p>}
            <div className="pair">
              <span className="fine">Bound to</span>
              <Hash value={approval.proposal_digest} label="digest that was approved" />
            </div>
          </li>
        ))}
        {comments.map((comment) => (
          <li key={`${comment.at} ${comment.actor}`}>
            <p>
              <strong>{comment.actor}</strong> <Time value={comment.at} />
            </p>
            <p>{comment.text}</p>
          </li>
        ))}
      </ul>
    </Section>
  )
}

function Overview({ proposal }: { readonly proposal: ProposalView }) {
  const { simulated, enforced } = proposal
  return (
    <div className="columns">
      <div>
        <Section title="What changes">
          {proposal.subject !== undefined ? (
            <Specified proposal={proposal} />
          ) : simulated === null ? (
            <Empty title="Not decided yet" />
          ) : (
            <PredictedDiff decision={enforced ?? simulated} />
          )}
        </Section>
        {enforced === null ? null : (
          <Section title="Decision at execution" aside={<Time value={enforced.at} />}>
            <DecisionCard decision={enforced} />
          </Section>
        )}
        <Section
          title={enforced === null ? 'Decision' : 'Decision at submission'}
          aside={simulated === null ? null : <Time value={simulated.at} />}
        >
          {simulated === null ? (
            <Empty title="Policy has not been asked yet" />
          ) : (
            <DecisionCard decision={simulated} />
          )}
        </Section>
      </div>
      <div>
        <Request proposal={proposal} />
        <Voices proposal={proposal} />
      </div>
    </div>
  )
}

function Proof({
  proposal,
  event,
  onChoose,
}: {
  readonly proposal: ProposalView
  readonly event: string | undefined
  readonly onChoose: (event: string) => void
}) {
  const chosen =
    proposal.timeline.find((entry) => entry.event_id === event) ?? proposal.timeline.at(-1)
  if (chosen === undefined) return <Empty title="There is no event to prove yet" />
  return (
    <Section title="Proof">
      <label className="field">
        <span>Event</span>
        <select value={chosen.event_id} onChange={(change) => onChoose(change.target.value)}>
          {proposal.timeline.map((entry) => (
            <option key={entry.event_id} value={entry.event_id}>
              {entry.position} · {entry.type}
            </option>
          ))}
        </select>
      </label>
      <ProofPanel key={chosen.event_id} event={chosen.event_id} />
    </Section>
  )
}

function Loaded({ proposal }: { readonly proposal: ProposalView }) {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const tab = search.tab ?? 'overview'
  const choose = (value: string) =>
    void navigate({
      search: { ...search, tab: proposalTabs.find((name) => name === value) },
      resetScroll: false,
    })
  const prove = (event: string) =>
    void navigate({ search: { tab: 'proof', event }, resetScroll: false })
  return (
    <>
      <PageHead
        title={
          <>
            {proposalTitle(proposal)} <StatusChip status={proposal.status} />
          </>
        }
        lead={proposal.reason}
        actions={<Steps proposal={proposal} />}
      />
      <Standing proposal={proposal} />
      <Tabs.Root value={tab} onValueChange={choose}>
        <Tabs.List className="tabs" aria-label="Parts of the proposal">
          {proposalTabs.map((name) => (
            <Tabs.Trigger key={name} value={name} className="tab">
              {sentence(name)}
              {name === 'timeline' ? (
                <span className="count">{proposal.timeline.length}</span>
              ) : null}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        <Tabs.Content value="overview">
          <Overview proposal={proposal} />
        </Tabs.Content>
        <Tabs.Content value="evidence">
          <MutationEvidence timeline={proposal.timeline} />
        </Tabs.Content>
        <Tabs.Content value="timeline">
          <Section title="From request to proof">
            <Timeline entries={proposal.timeline} onProve={prove} />
          </Section>
        </Tabs.Content>
        <Tabs.Content value="proof">
          <Proof proposal={proposal} event={search.event} onChoose={prove} />
        </Tabs.Content>
      </Tabs.Root>
    </>
  )
}

/** One page per change, from the request to its proof. */
export function ProposalPage() {
  const { id } = route.useParams()
  const proposal = useQuery(proposalQuery(id))
  if (proposal.data !== undefined) return <Loaded proposal={proposal.data} />
  if (proposal.isPending) return <Waiting rows={10} />
  return <ProblemNote error={proposal.error} onRetry={() => void proposal.refetch()} />
}
