import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import type { ProofStep } from '../ledger/proof-file.js'
import { Chip, Expandable, Hash, ProblemNote, Time, Waiting } from './parts.js'
import { type PinState, pinKey, replacePin } from './pinned-key.js'
import { checkProof, type ProofVerdict, stepTitle, type TreeNode } from './proof-check.js'
import { checkpointKeyQuery, proofQuery } from './queries.js'

const hashForm = /^[0-9a-f]{32,}$/

function download(text: string, event: string) {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }))
  const link = document.createElement('a')
  link.href = url
  link.download = `${event}.proof.json`
  link.click()
  URL.revokeObjectURL(url)
}

function PinNote({
  state,
  onReplace,
}: {
  readonly state: PinState
  readonly onReplace: () => void
}) {
  if (state.status === 'changed') {
    return (
      <div className="note note-bad" role="alert">
        <p className="note-title">The key of this ledger has changed</p>
        <p>
          This browser pinned a key <Time value={state.pin.since} /> and the service now offers
          another. Unless its owner announced a new key, do not rely on what is shown here.
        </p>
        <p className="fine">Pinned</p>
        <Hash value={state.pin.vkey} label="pinned key" whole />
        <p className="fine">Offered now</p>
        <Hash value={state.offered} label="offered key" whole />
        <button type="button" className="button button-danger" onClick={onReplace}>
          I compared the new key with its owner: pin it
        </button>
      </div>
    )
  }
  return (
    <div className="note">
      <p>
        {state.status === 'pinned-now'
          ? 'First contact: this browser has now pinned the key that the service offers. Compare it once with its owner by another way; from here on a change is shown in red.'
          : 'Checked against the key that this browser pinned '}
        {state.status === 'same' ? (
          <>
            <Time value={state.pin.since} />.
          </>
        ) : null}
      </p>
      <Hash value={state.pin.vkey} label="pinned key" whole />
    </div>
  )
}

function TreeNodes({ nodes }: { readonly nodes: readonly TreeNode[] }) {
  if (nodes.length === 0)
    return <p className="fine">The tree holds this leaf alone: its hash is the root.</p>
  return (
    <Expandable summary={`${nodes.length} nodes hashed on the way to the root`}>
      <ol className="nodes">
        {nodes.map((node) => (
          <li key={node.hash}>
            <span className="fine">left</span> <Hash value={node.left} label="left hash" />
            <span className="fine">right</span> <Hash value={node.right} label="right hash" />
            <span className="fine">node</span> <Hash value={node.hash} label="node hash" />
          </li>
        ))}
      </ol>
    </Expandable>
  )
}

function Step({ step, nodes }: { readonly step: ProofStep; readonly nodes: readonly TreeNode[] }) {
  const values = Object.entries(step.computed).filter(([name]) => name !== 'path')
  return (
    <li className="step">
      <span className="step-mark" aria-hidden="true">
        ✓
      </span>
      <div>
        <h4>{stepTitle[step.name]}</h4>
        <p>{step.summary}</p>
        {values.map(([name, value]) => (
          <div className="pair" key={name}>
            <span className="fine">{name.replaceAll('_', ' ')}</span>
            {hashForm.test(value) || value.length > 40 ? (
              <Hash value={value} label={name} />
            ) : (
              <code>{value}</code>
            )}
          </div>
        ))}
        {step.name === 'inclusion' ? <TreeNodes nodes={nodes} /> : null}
      </div>
    </li>
  )
}

function Verdict({ verdict }: { readonly verdict: ProofVerdict }) {
  if (verdict.result === 'refused') {
    return (
      <div className="note note-bad" role="alert">
        <p className="note-title">This proof does not verify</p>
        <p>{verdict.message}</p>
        {verdict.details.map(([name, value]) => (
          <div className="pair" key={name}>
            <span className="fine">{name}</span>
            <Hash value={value} label={name} />
          </div>
        ))}
        <p>{verdict.remedy}</p>
      </div>
    )
  }
  const { report, nodes } = verdict
  return (
    <>
      <p className="verdict">
        {verdict.result === 'verified' ? (
          <Chip tone="good">Verified in this browser</Chip>
        ) : (
          <Chip tone="bad">Signed by a key that is not pinned</Chip>
        )}
        <span>
          {report.leaf.type} is leaf {report.position} of {report.checkpoint.size} in{' '}
          {report.checkpoint.origin}
        </span>
      </p>
      <ol className="steps">
        {report.steps.map((step) => (
          <Step key={step.name} step={step} nodes={nodes} />
        ))}
        {verdict.result === 'unknown-key' ? (
          <li className="step step-bad">
            <span className="step-mark" aria-hidden="true">
              ✕
            </span>
            <div>
              <h4>{stepTitle.trust}</h4>
              <p>{verdict.message}</p>
            </div>
          </li>
        ) : null}
      </ol>
    </>
  )
}

function Checked({
  text,
  vkey,
  event,
}: {
  readonly text: string
  readonly vkey: string
  readonly event: string
}) {
  const [replaced, setReplaced] = useState(0)
  // Pinning again is what `replaced` counts; the pin itself stands in the browser's storage.
  const state = useMemo(() => ({ ...pinKey(vkey), replaced }), [vkey, replaced])
  const pinnedKey = state.pin.vkey
  const verdict = useMemo(() => checkProof(text, { event, pinnedKey }), [text, event, pinnedKey])
  const replace = () => {
    replacePin(vkey)
    setReplaced((count) => count + 1)
  }
  return (
    <div className="proof">
      <div className="proof-tools">
        <button type="button" className="button" onClick={() => download(text, event)}>
          Download proof file
        </button>
        <span className="fine">
          Check it anywhere, offline: <code>fractalops verify {event}.proof.json --key KEY</code>
        </span>
      </div>
      <Verdict verdict={verdict} />
      <PinNote state={state} onReplace={replace} />
      <p className="fine">
        A proof says that this event was on the ledger, unaltered, at this place since that
        checkpoint. It does not say that its content is true.
      </p>
    </div>
  )
}

/** Fetches the proof of one event and checks it here, step by step. */
export function ProofPanel({ event }: { readonly event: string }) {
  const proof = useQuery(proofQuery(event))
  const key = useQuery(checkpointKeyQuery)
  if (proof.isPending || key.isPending) return <Waiting rows={8} />
  if (proof.isError) return <ProblemNote error={proof.error} onRetry={() => void proof.refetch()} />
  if (key.isError) return <ProblemNote error={key.error} onRetry={() => void key.refetch()} />
  return <Checked text={proof.data} vkey={key.data} event={event} />
}
