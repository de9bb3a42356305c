import { type ReactNode, useId } from 'react'
import type { FieldProblem } from '../contracts/errors.js'
import type { FormField } from './proposal-form.js'
import { sentence } from './words.js'

/** A label, its control and what is wrong there; the control is told the ids it must carry. */
export function Field({
  label,
  hint,
  pointer,
  problems,
  children,
}: {
  readonly label: string
  readonly hint?: string | undefined
  readonly pointer: string
  readonly problems: readonly FieldProblem[]
  readonly children: (ids: {
    readonly id: string
    readonly 'aria-describedby': string
    readonly 'aria-invalid': boolean
  }) => ReactNode
}) {
  const id = useId()
  const wrong = problems.filter((problem) => problem.pointer === pointer)
  return (
    <div className={wrong.length > 0 ? 'field field-wrong' : 'field'}>
      <label htmlFor={id}>{label}</label>
      {children({ id, 'aria-describedby': `${id}-says`, 'aria-invalid': wrong.length > 0 })}
      <div id={`${id}-says`} className="field-says">
        {wrong.map((problem) => (
          <p key={problem.detail} className="field-problem">
            {problem.detail}
          </p>
        ))}
        {hint === undefined || wrong.length > 0 ? null : <p className="fine">{hint}</p>}
      </div>
    </div>
  )
}

const hints: Readonly<Record<string, string>> = {
  role: 'What it is responsible for, for example web.',
  lifetime: 'supervisor: ends with the service. host: outlives it.',
  criticality: 'Policy may ask for it: without it some changes cannot be decided.',
  command: 'The program. It is fixed once registered.',
  arguments: 'One per line.',
  folder: 'Absolute, or relative to where the service was started.',
  health_url: '{port} stands for the port of each replica.',
  base_port: 'Replica 0 listens here, the next one above.',
  configuration: 'Its whole new content.',
}
const placeholders: Readonly<Record<string, string>> = {
  role: 'web',
  command: 'node',
  arguments: 'server.mjs',
  folder: 'examples/web',
  health_url: 'http://127.0.0.1:{port}/healthz',
  base_port: '18080',
}

/** The control that fits a field of a contract. */
export function ContractField({
  field,
  value,
  problems,
  onChange,
}: {
  readonly field: FormField
  readonly value: string
  readonly problems: readonly FieldProblem[]
  readonly onChange: (value: string) => void
}) {
  if (field.input === 'fixed') return null
  const name = sentence(field.name)
  return (
    <Field
      label={field.required || field.initial !== '' ? name : `${name} (optional)`}
      hint={hints[field.name]}
      pointer={field.pointer}
      problems={problems}
    >
      {(ids) => {
        const shared = { ...ids, value, placeholder: placeholders[field.name] }
        if (field.input === 'choice') {
          return (
            <select {...ids} value={value} onChange={(event) => onChange(event.target.value)}>
              {field.required || field.initial !== '' ? null : <option value="">Not given</option>}
              {field.choices.map((choice) => (
                <option key={choice}>{choice}</option>
              ))}
            </select>
          )
        }
        if (field.input === 'long' || field.input === 'lines') {
          return (
            <textarea
              {...shared}
              rows={field.input === 'long' ? 6 : 3}
              spellCheck={false}
              className="mono"
              onChange={(event) => onChange(event.target.value)}
            />
          )
        }
        return (
          <input
            {...shared}
            type={field.input === 'number' ? 'number' : 'text'}
            {...(field.input === 'number' ? { min: field.minimum, max: field.maximum } : {})}
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => onChange(event.target.value)}
          />
        )
      }}
    </Field>
  )
}
