import { type ReactNode, useEffect, useState } from 'react'
import type { ProposalStatus } from '../contracts/http.js'
import { problemOf } from './api.js'
import { ageOf, useNow, utcText } from './clock.js'
import { sentence, statusTone, type Tone } from './words.js'

export function Chip({ tone, children }: { readonly tone: Tone; readonly children: ReactNode }) {
  return <span className={`chip chip-${tone}`}>{children}</span>
}

export const StatusChip = ({ status }: { readonly status: ProposalStatus }) => (
  <Chip tone={statusTone[status]}>{sentence(status)}</Chip>
)

const copiedMs = 1500

/** A long opaque value: shortened where space is short, always copied in full. */
export function Hash({
  value,
  label,
  whole = false,
}: {
  readonly value: string
  readonly label: string
  readonly whole?: boolean
}) {
  const [copied, setCopied] = useState<'no' | 'yes' | 'refused'>('no')
  useEffect(() => {
    if (copied === 'no') return
    const timer = window.setTimeout(() => setCopied('no'), copiedMs)
    return () => window.clearTimeout(timer)
  }, [copied])
  const copy = () =>
    navigator.clipboard.writeText(value).then(
      () => setCopied('yes'),
      () => setCopied('refused'),
    )
  const words = { no: 'Copy', yes: 'Copied', refused: 'Select it' }
  return (
    <span className={whole ? 'hash hash-whole' : 'hash'}>
      <code title={value}>{value}</code>
      <button
        type="button"
        className="copy"
        onClick={() => void copy()}
        aria-label={`Copy ${label}`}
      >
        <span aria-live="polite">{words[copied]}</span>
      </button>
    </span>
  )
}

/** A ledger time; the exact moment stands in the title of an age. */
export function Time({
  value,
  exact = false,
}: {
  readonly value: string
  readonly exact?: boolean
}) {
  const now = useNow()
  return (
    <time dateTime={value} title={value} className="time">
      {exact ? utcText(value) : ageOf(value, now)}
    </time>
  )
}

export function Section({
  title,
  aside,
  children,
}: {
  readonly title: string
  readonly aside?: ReactNode
  readonly children: ReactNode
}) {
  return (
    <section className="section" aria-label={title}>
      <header className="section-head">
        <h2>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  )
}

export function PageHead({
  title,
  lead,
  actions,
}: {
  readonly title: ReactNode
  readonly lead?: ReactNode
  readonly actions?: ReactNode
}) {
  return (
    <header className="page-head">
      <div>
        <h1>{title}</h1>
        {lead === undefined ? null : <div className="lead">{lead}</div>}
      </div>
      {actions === undefined ? null : <div className="actions">{actions}</div>}
    </header>
  )
}

export function Empty({
  title,
  children,
}: {
  readonly title: string
  readonly children?: ReactNode
}) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children === undefined ? null : <p>{children}</p>}
    </div>
  )
}

/** A failure with what can be done about it. */
export function ProblemNote({
  error,
  onRetry,
}: {
  readonly error: unknown
  readonly onRetry?: () => void
}) {
  const problem = problemOf(error)
  return (
    <div className="note note-bad" role="alert">
      <p className="note-title">{problem.title}</p>
      {problem.detail === undefined || problem.detail === problem.title ? null : (
        <p>{problem.detail}</p>
      )}
      <p>{problem.remedy}</p>
      <p className="fine">
        <code>{problem.code}</code>
      </p>
      {onRetry === undefined ? null : (
        <button type="button" className="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  )
}

/** Keeps the place of what is being fetched, so that nothing jumps when it arrives. */
export function Waiting({ rows = 3 }: { readonly rows?: number }) {
  return (
    <div className="waiting" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => (
        <span key={row} />
      ))}
    </div>
  )
}

/** Pairs of a name and what stands behind it. */
export function Facts({
  rows,
}: {
  readonly rows: readonly (readonly [name: string, value: ReactNode])[]
}) {
  return (
    <dl className="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

export function Json({ value, label }: { readonly value: unknown; readonly label: string }) {
  return (
    <pre className="json" tabIndex={0} aria-label={label}>
      {JSON.stringify(value, null, 2)}
    </pre>
  )
}

export function Expandable({
  summary,
  children,
}: {
  readonly summary: ReactNode
  readonly children: ReactNode
}) {
  return (
    <details className="expandable">
      <summary>{summary}</summary>
      <div className="expanded">{children}</div>
    </details>
  )
}
