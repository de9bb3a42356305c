import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useId, useState } from 'react'
import type { ProposalView } from '../contracts/http.js'
import { reasonCharactersMax } from '../contracts/proposal.js'
import { api, newIdempotencyKey } from './api.js'
import { Dialog } from './dialog.js'
import { Hash, ProblemNote } from './parts.js'
import { proposalTitle } from './words.js'

/** What a person does with a proposal, in the words of its dialog. */
interface ProposalStep {
  /** Last part of the route. */
  readonly route: string
  readonly button: string
  readonly look: 'main' | 'danger' | 'plain'
  readonly title: string
  readonly lead: string
  readonly textLabel: string
  readonly textRequired: boolean
  readonly bound: boolean
  readonly body: (digest: string, text: string) => unknown
}

const comment = (text: string) => (text === '' ? {} : { comment: text })

export const approveStep: ProposalStep = {
  route: 'approvals',
  button: 'Approve',
  look: 'main',
  title: 'Approve this change',
  lead: 'Your approval is recorded under your name and holds for exactly the digest below, this policy and this state of the asset.',
  textLabel: 'Comment (optional)',
  textRequired: false,
  bound: true,
  body: (proposal_digest, text) => ({ proposal_digest, ...comment(text) }),
}
export const rejectStep: ProposalStep = {
  route: 'rejections',
  button: 'Reject',
  look: 'danger',
  title: 'Reject this change',
  lead: 'A rejection ends the proposal, whatever approvals it has. It is recorded under your name.',
  textLabel: 'Why',
  textRequired: true,
  bound: true,
  body: (proposal_digest, reason) => ({ proposal_digest, reason }),
}
export const withdrawStep: ProposalStep = {
  route: 'withdraw',
  button: 'Withdraw',
  look: 'plain',
  title: 'Withdraw your proposal',
  lead: 'It ends here and is never executed. What was recorded stays on the ledger.',
  textLabel: 'Why (optional)',
  textRequired: false,
  bound: false,
  body: (_, reason) => ({ reason }),
}
export const cancelStep: ProposalStep = {
  route: 'cancel',
  button: 'Cancel',
  look: 'plain',
  title: 'Cancel this change',
  lead: 'It ends before its execution begins. What was recorded stays on the ledger.',
  textLabel: 'Why (optional)',
  textRequired: false,
  bound: false,
  body: (_, reason) => ({ reason }),
}
export const commentStep: ProposalStep = {
  route: 'comments',
  button: 'Comment',
  look: 'plain',
  title: 'Comment on this change',
  lead: 'Everybody who reads the proposal sees it. It is recorded under your name.',
  textLabel: 'Comment',
  textRequired: true,
  bound: false,
  body: (_, text) => ({ text }),
}

function StepForm({
  step,
  proposal,
  onDone,
}: {
  readonly step: ProposalStep
  readonly proposal: ProposalView
  readonly onDone: () => void
}) {
  const queries = useQueryClient()
  const textId = useId()
  const [text, setText] = useState('')
  // What the person sees when the dialog opens is what is sent, even if the page learns more meanwhile.
  const [digest] = useState(proposal.digest)
  const [key] = useState(newIdempotencyKey)
  const send = useMutation({
    mutationFn: () =>
      api.decide(proposal.id, step.route, step.body(digest, text.trim()), `${key}-${text.length}`),
    onSuccess: async () => {
      onDone()
      await queries.invalidateQueries()
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    send.mutate()
  }
  return (
    <form onSubmit={submit}>
      <p className="dialog-what">
        <strong>{proposalTitle(proposal)}</strong>
        <span>{proposal.reason}</span>
      </p>
      {step.bound ? (
        <div className="bound">
          <span className="fine">Proposal digest</span>
          <Hash value={digest} label="proposal digest" whole />
        </div>
      ) : null}
      <div className="field">
        <label htmlFor={textId}>{step.textLabel}</label>
        <textarea
          id={textId}
          rows={3}
          maxLength={reasonCharactersMax}
          required={step.textRequired}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      </div>
      {send.isError ? <ProblemNote error={send.error} /> : null}
      <div className="dialog-foot">
        <button type="button" className="button" onClick={onDone}>
          Go back
        </button>
        <button
          type="submit"
          className={`button button-${step.look === 'plain' ? 'main' : step.look}`}
          disabled={send.isPending || (step.textRequired && text.trim() === '')}
        >
          {send.isPending ? 'Recording…' : step.button}
        </button>
      </div>
    </form>
  )
}

/** The button of one step and the dialog that says what it means. */
export function StepDialog({
  step,
  proposal,
}: {
  readonly step: ProposalStep
  readonly proposal: ProposalView
}) {
  const [open, setOpen] = useState(false)
  return (
    <Dialog
      open={open}
      onOpenChange={setOpen}
      title={step.title}
      description={step.lead}
      trigger={
        <button type="button" className={`button button-${step.look}`}>
          {step.button}
        </button>
      }
    >
      <StepForm step={step} proposal={proposal} onDone={() => setOpen(false)} />
    </Dialog>
  )
}
