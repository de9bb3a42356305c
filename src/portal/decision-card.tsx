import { Fragment, type ReactNode } from 'react'
import type { Difference } from '../contracts/asset.js'
import type { Decision } from '../contracts/policy.js'
import { Chip, Empty, Expandable, Facts, Hash, Json } from './parts.js'
import { outcomeTone, sentence } from './words.js'

const valueText = (value: unknown) =>
  value === undefined ? '–' : typeof value === 'string' ? value : JSON.stringify(value)

/** A JSON pointer that may break before each of its parts, and nowhere else if there is room. */
const Pointer = ({ text }: { readonly text: string }) => (
  <code className="pointer">
    {text.split(/(?=[/_])/).map((part, index) => (
      <Fragment key={`${index} ${part}`}>
        <wbr />
        {part}
      </Fragment>
    ))}
  </code>
)

/** Before and after, place by place. */
export function Differences({
  changes,
  label,
}: {
  readonly changes: readonly Difference[]
  readonly label: string
}) {
  if (changes.length === 0) return <p className="fine">Nothing would differ.</p>
  return (
    <table className="table diff">
      <caption className="unseen">{label}</caption>
      <thead>
        <tr>
          <th scope="col">Place</th>
          <th scope="col">Before</th>
          <th scope="col">After</th>
        </tr>
      </thead>
      <tbody>
        {changes.map((change) => (
          <tr key={change.pointer}>
            <td data-label="Place">
              <Pointer text={change.pointer} />
            </td>
            <td data-label="Before">
              <code className="before">{valueText(change.before)}</code>
            </td>
            <td data-label="After">
              <code className="after">{valueText(change.after)}</code>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** The predicted effect on each asset. */
export function PredictedDiff({ decision }: { readonly decision: Decision }) {
  if (decision.diff.length === 0)
    return (
      <Empty title="No effect predicted">The decision ended before an effect was worked out.</Empty>
    )
  return (
    <>
      {decision.diff.map(({ asset_id, changes }) => (
        <div key={asset_id} className="diff-block">
          <h3>{asset_id}</h3>
          <Differences changes={changes} label={`Predicted effect on ${asset_id}`} />
        </div>
      ))}
    </>
  )
}

/** A policy decision: what, why, who can resolve it, and what it was made of. */
export function DecisionCard({
  decision,
  children,
}: {
  readonly decision: Decision
  /** Stands between the reasons and what the decision was made of. */
  readonly children?: ReactNode
}) {
  const { approvals_required: required, approvals_counted: counted } = decision
  return (
    <div className="decision">
      <p className="verdict">
        <Chip tone={outcomeTone(decision.outcome)}>{sentence(decision.outcome)}</Chip>
        {decision.outcome === 'allow' && required > 0 ? (
          <span>
            with {required} approval{required === 1 ? '' : 's'}, {counted} counted
          </span>
        ) : null}
      </p>
      <ul className="reasons">
        {decision.reasons.map((reason) => (
          <li key={`${reason.code} ${reason.message}`}>
            <span>{reason.message}</span>
            <span className="fine">
              <code>{reason.code}</code>
              {reason.resolvable_by === undefined
                ? null
                : ` · can be resolved by ${reason.resolvable_by}`}
            </span>
          </li>
        ))}
      </ul>
      {decision.errors.length === 0 ? null : (
        <div className="note note-bad">
          <p className="note-title">The engine reported errors</p>
          {decision.errors.map((error) => (
            <p key={error}>{error}</p>
          ))}
        </div>
      )}
      {children}
      <Facts
        rows={[
          [
            'Determining policies',
            decision.determining_policies.length === 0
              ? 'none'
              : decision.determining_policies.join(', '),
          ],
          ['Bundle', `${decision.bundle} · ${decision.engine}`],
          ['Bundle digest', <Hash key="b" value={decision.bundle_digest} label="bundle digest" />],
          ['Schema digest', <Hash key="s" value={decision.schema_digest} label="schema digest" />],
          ['Input digest', <Hash key="i" value={decision.input_digest} label="input digest" />],
          ...decision.states.map(
            (state) =>
              [
                `State of ${state.asset_id}`,
                state.state_revision === null
                  ? 'not registered yet'
                  : `revision ${state.state_revision}`,
              ] as const,
          ),
        ]}
      />
      <Expandable summary="The question as it was put to policy">
        <Json value={decision.input} label="Input of the decision" />
      </Expandable>
    </div>
  )
}
