import { useMutation, useQuery } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { type FormEvent, useId, useMemo, useState } from 'react'
import type { AssetView } from '../contracts/http.js'
import type { FieldProblem } from '../contracts/errors.js'
import { reasonCharactersMax } from '../contracts/proposal.js'
import { api, newIdempotencyKey, ProblemError } from './api.js'
import { DecisionCard, PredictedDiff } from './decision-card.js'
import { ContractField, Field } from './form-fields.js'
import { Empty, PageHead, ProblemNote, Section } from './parts.js'
import {
  type Draft,
  emptyDraft,
  fieldsOf,
  operationNamed,
  operations,
  requestOf,
} from './proposal-form.js'
import { assetChoicesQuery, sessionQuery } from './queries.js'
import { sentence } from './words.js'

const route = getRouteApi('/proposals/new')
const noAssets: readonly AssetView[] = []

interface Editing {
  readonly draft: Draft
  readonly problems: readonly FieldProblem[]
  readonly change: (part: Partial<Draft>) => void
}

function Target({
  draft,
  problems,
  change,
  assets,
}: Editing & { readonly assets: readonly AssetView[] }) {
  const list = useId()
  const isNew = operationNamed(draft.operation).kind === 'asset-registration'
  const byRole = !isNew && draft.target === 'role'
  const names = byRole
    ? [...new Set(assets.map((asset) => asset.role))]
    : isNew
      ? []
      : assets.map((asset) => asset.asset_id)
  return (
    <>
      {isNew ? null : (
        <fieldset className="choice">
          <legend>Which assets</legend>
          {(['asset_id', 'role'] as const).map((target) => (
            <label key={target}>
              <input
                type="radio"
                name="target"
                checked={draft.target === target}
                onChange={() => change({ target })}
              />
              {target === 'asset_id' ? 'One asset' : 'Those of a role'}
            </label>
          ))}
        </fieldset>
      )}
      <Field
        label={byRole ? 'Role' : 'Asset'}
        hint={isNew ? 'A new name: up to 128 of A-Z a-z 0-9 . _ ~ -' : undefined}
        pointer={byRole ? '/role' : '/asset_id'}
        problems={problems}
      >
        {(ids) => (
          <>
            <input
              {...ids}
              list={list}
              value={byRole ? draft.role : draft.asset_id}
              placeholder={byRole ? 'web' : 'web-01'}
              autoComplete="off"
              spellCheck={false}
              onChange={(event) =>
                change(byRole ? { role: event.target.value } : { asset_id: event.target.value })
              }
            />
            <datalist id={list}>
              {names.map((name) => (
                <option key={name} value={name} />
              ))}
            </datalist>
          </>
        )}
      </Field>
    </>
  )
}

function OperationFields({ draft, problems, change }: Editing) {
  const fields = useMemo(
    () => fieldsOf(operationNamed(draft.operation).parameters, '/spec'),
    [draft.operation],
  )
  return (
    <>
      {fields.map((field) => (
        <ContractField
          key={field.pointer}
          field={field}
          value={draft.spec[field.name] ?? field.initial}
          problems={problems}
          onChange={(value) => change({ spec: { ...draft.spec, [field.name]: value } })}
        />
      ))}
    </>
  )
}

function Circumstances({
  draft,
  problems,
  change,
  assets,
}: Editing & { readonly assets: readonly AssetView[] }) {
  const seen = assets.find((asset) => asset.asset_id === draft.asset_id)
  return (
    <>
      <Field
        label="Reason"
        pointer="/reason"
        problems={problems}
        hint="It stays on the ledger for good."
      >
        {(ids) => (
          <textarea
            {...ids}
            rows={3}
            maxLength={reasonCharactersMax}
            value={draft.reason}
            onChange={(event) => change({ reason: event.target.value })}
          />
        )}
      </Field>
      <Field label="Ticket (optional)" pointer="/ticket" problems={problems}>
        {(ids) => (
          <input
            {...ids}
            value={draft.ticket}
            autoComplete="off"
            onChange={(event) => change({ ticket: event.target.value })}
          />
        )}
      </Field>
      <Field
        label="Only at state revision (optional)"
        pointer="/expected_state_revision"
        problems={problems}
        hint={
          seen === undefined
            ? 'The proposal is refused when the asset has moved on.'
            : `${seen.asset_id} stands at revision ${seen.state_revision}; refused when it has moved on.`
        }
      >
        {(ids) => (
          <input
            {...ids}
            value={draft.expected_state_revision}
            inputMode="numeric"
            autoComplete="off"
            onChange={(event) => change({ expected_state_revision: event.target.value })}
          />
        )}
      </Field>
    </>
  )
}

/** Problems that the service found, at the fields they are about. */
const problemsOf = (error: unknown): readonly FieldProblem[] =>
  error instanceof ProblemError ? (error.problem.errors ?? []) : []

function useSubmission(draft: Draft, key: string) {
  const navigate = useNavigate()
  const [checked, setChecked] = useState(false)
  const { body, problems } = requestOf(draft)
  const simulate = useMutation({ mutationFn: api.simulate })
  const propose = useMutation({
    mutationFn: (request: NonNullable<typeof body>) => api.propose(request, key),
    onSuccess: (proposal) => navigate({ to: '/proposals/$id', params: { id: proposal.id } }),
  })
  const attempt = (step: 'simulate' | 'propose') => {
    setChecked(true)
    if (body === undefined) return
    simulate.reset()
    propose.reset()
    if (step === 'simulate') simulate.mutate(body)
    else propose.mutate(body)
  }
  const error: unknown = propose.error ?? simulate.error
  return {
    attempt,
    error,
    isBusy: simulate.isPending || propose.isPending,
    simulation: simulate.data,
    reset: () => {
      simulate.reset()
      propose.reset()
    },
    problems: [...(checked ? problems : []), ...problemsOf(error)],
  }
}

function Outcome({ submission }: { readonly submission: ReturnType<typeof useSubmission> }) {
  const { simulation, error } = submission
  return (
    <Section title="What would happen">
      {error === null ? null : <ProblemNote error={error} />}
      {simulation === undefined && error === null ? (
        <Empty title="Not simulated yet">
          Simulate shows the decision of policy and the effect on the asset. It records nothing.
        </Empty>
      ) : null}
      {simulation === undefined ? null : (
        <div aria-live="polite">
          <DecisionCard decision={simulation}>
            <PredictedDiff decision={simulation} />
          </DecisionCard>
        </div>
      )}
    </Section>
  )
}

function OperationChoice({ draft, change }: Pick<Editing, 'draft' | 'change'>) {
  return (
    <Field
      label="Operation"
      pointer="/operation"
      problems={[]}
      hint={operationNamed(draft.operation).summary}
    >
      {(ids) => (
        <select
          {...ids}
          value={draft.operation}
          onChange={(event) => change({ operation: event.target.value, spec: {} })}
        >
          {operations.map(({ name }) => (
            <option key={name} value={name}>
              {sentence(name)}
            </option>
          ))}
        </select>
      )}
    </Field>
  )
}

export function NewProposalPage() {
  const search = route.useSearch()
  const [draft, setDraft] = useState(() =>
    emptyDraft(operationNamed(search.operation ?? 'start').name, search.asset ?? ''),
  )
  const [key, setKey] = useState(newIdempotencyKey)
  const session = useQuery(sessionQuery)
  const choices = useQuery(assetChoicesQuery)
  const submission = useSubmission(draft, key)
  const assets = choices.data?.items ?? noAssets
  const change = (part: Partial<Draft>) => {
    setDraft((current) => ({ ...current, ...part }))
    // Another content is another intention; what was simulated no longer belongs to it.
    setKey(newIdempotencyKey())
    submission.reset()
  }
  const editing = { draft, problems: submission.problems, change, assets }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    submission.attempt('propose')
  }
  const mayPropose = session.data?.access.some(
    (role) => role === 'proposer' || role === 'administrator',
  )
  return (
    <>
      <PageHead
        title="Propose a change"
        lead="Nothing happens until policy, and where it asks for them people, have agreed."
      />
      {mayPropose === false ? (
        <div className="note">
          <p>Your token has no access role proposer: you can simulate, but not submit.</p>
        </div>
      ) : null}
      <div className="columns">
        <form className="form section" onSubmit={submit} noValidate>
          <OperationChoice draft={draft} change={change} />
          <Target {...editing} />
          <OperationFields {...editing} />
          <Circumstances {...editing} />
          {submission.problems.length === 0 ? null : (
            <p className="field-problem" role="alert">
              Correct{' '}
              {submission.problems.map(({ pointer }) => pointer || 'the request').join(', ')}
            </p>
          )}
          <div className="form-foot">
            <button
              type="button"
              className="button"
              disabled={submission.isBusy}
              onClick={() => submission.attempt('simulate')}
            >
              Simulate
            </button>
            <button type="submit" className="button button-main" disabled={submission.isBusy}>
              {submission.isBusy ? 'Working…' : 'Submit proposal'}
            </button>
          </div>
        </form>
        <Outcome submission={submission} />
      </div>
    </>
  )
}
