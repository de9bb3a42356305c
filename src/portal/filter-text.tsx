import { useId, useState } from 'react'

/** A filter that is applied with Enter or on leaving the field, so that no half-typed name is asked for. */
export function FilterText({
  label,
  value,
  placeholder,
  choices = [],
  onChange,
}: {
  readonly label: string
  readonly value: string | undefined
  readonly placeholder: string
  readonly choices?: readonly string[]
  readonly onChange: (value: string | undefined) => void
}) {
  const [text, setText] = useState(value ?? '')
  const list = useId()
  const apply = () => {
    const wanted = text.trim() === '' ? undefined : text.trim()
    if (wanted !== value) onChange(wanted)
  }
  return (
    <label className="field">
      <span>{label}</span>
      <input
        type="search"
        value={text}
        placeholder={placeholder}
        autoComplete="off"
        spellCheck={false}
        {...(choices.length > 0 ? { list } : {})}
        onChange={(event) => setText(event.target.value)}
        onBlur={apply}
        onKeyDown={(event) => {
          if (event.key === 'Enter') apply()
        }}
      />
      {choices.length > 0 ? (
        <datalist id={list}>
          {choices.map((choice) => (
            <option key={choice} value={choice} />
          ))}
        </datalist>
      ) : null}
    </label>
  )
}
