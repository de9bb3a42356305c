import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { HudView } from '../contracts/http.js'
import { Chip, Empty, PageHead, ProblemNote, Section, Waiting } from './parts.js'
import { ProposalLines } from './proposal-list.js'
import { hudQuery } from './queries.js'
import { outcomeTone, sentence } from './words.js'

const lists = [
  {
    key: 'waits_for_me',
    title: 'Waits for me',
    empty: 'Nothing waits for you',
    hint: 'What you may approve or have to resolve appears here.',
  },
  {
    key: 'runs',
    title: 'Runs',
    empty: 'Nothing runs',
    hint: 'Approved changes appear here while they are carried out.',
  },
  {
    key: 'blocked',
    title: 'Blocked',
    empty: 'Nothing is blocked',
    hint: 'What policy denied or could not decide appears here, with who can resolve it.',
  },
  {
    key: 'recent',
    title: 'Recent',
    empty: 'No change has ended yet',
    hint: 'Propose the first one.',
  },
] as const

function Parts({ hud }: { readonly hud: HudView }) {
  return (
    <Section title="Service">
      <ul className="service">
        {hud.parts.map((part) => (
          <li key={part.name}>
            <span className="service-name">{sentence(part.name)}</span>
            <Chip tone={outcomeTone(part.status)}>{sentence(part.status)}</Chip>
            {part.detail === '' ? null : <span className="fine">{part.detail}</span>}
          </li>
        ))}
      </ul>
      <p className="fine service-trust">
        <strong>Trust</strong> {hud.trust}
        <br />
        <strong>Position</strong> {hud.position}
      </p>
    </Section>
  )
}

export function HomePage() {
  const hud = useQuery(hudQuery)
  const actions = (
    <Link to="/proposals/new" className="button button-main">
      Propose a change
    </Link>
  )
  const head = <PageHead title="Home" actions={actions} />
  if (hud.data === undefined) {
    return (
      <>
        {head}
        {hud.isError ? (
          <ProblemNote error={hud.error} onRetry={() => void hud.refetch()} />
        ) : (
          <Waiting rows={8} />
        )}
      </>
    )
  }
  const view = hud.data
  return (
    <>
      {head}
      {hud.isError ? <ProblemNote error={hud.error} /> : null}
      <div className="home">
        <div className="home-lists">
          {lists.map(({ key, title, empty, hint }) => (
            <Section
              key={key}
              title={title}
              aside={<span className="count">{view[key].length}</span>}
            >
              {view[key].length === 0 ? (
                <Empty title={empty}>{hint}</Empty>
              ) : (
                <ProposalLines items={view[key]} />
              )}
            </Section>
          ))}
        </div>
        <Parts hud={view} />
      </div>
    </>
  )
}
