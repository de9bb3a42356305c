import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, Outlet } from '@tanstack/react-router'
import { api, ProblemError } from './api.js'
import { type Connection, useLive } from './live.js'
import { ProblemNote, Waiting } from './parts.js'
import { sessionQuery } from './queries.js'
import { SignIn } from './sign-in.js'

const pages = [
  ['/', 'Home'],
  ['/proposals', 'Proposals'],
  ['/assets', 'Assets'],
  ['/events', 'Events'],
] as const

const connectionWords: Readonly<Record<Connection, string>> = {
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Reconnecting',
}

function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" />
      <path d="M16 8v6M16 14l-7 7M16 14l7 7" />
      <circle cx="16" cy="8" r="3" />
      <circle cx="9" cy="22" r="3" />
      <circle cx="23" cy="22" r="3" />
    </svg>
  )
}

function Person() {
  const queries = useQueryClient()
  const { data } = useQuery(sessionQuery)
  const signOut = useMutation({
    mutationFn: api.signOut,
    onSuccess: () => {
      queries.clear()
      window.location.assign('/')
    },
  })
  if (data === undefined) return null
  return (
    <div className="person">
      <span className="person-name" title={`${data.access.join(', ')} · ${data.origin}`}>
        {data.name}
      </span>
      <button
        type="button"
        className="button button-plain"
        disabled={signOut.isPending}
        onClick={() => signOut.mutate()}
      >
        {signOut.isError ? 'Try again' : 'Sign out'}
      </button>
    </div>
  )
}

function SignedIn() {
  const connection = useLive()
  return (
    <>
      <header className="bar">
        <div className="bar-inner">
          <Link to="/" className="brand" aria-label="FractalOps Ledger, home">
            <Mark />
            <span>
              FractalOps<span className="brand-more"> Ledger</span>
            </span>
          </Link>
          <nav className="pages" aria-label="Pages">
            {pages.map(([to, name]) => (
              <Link key={to} to={to} activeOptions={{ exact: to === '/', includeSearch: false }}>
                {name}
              </Link>
            ))}
          </nav>
          <span className={`live live-${connection}`} role="status">
            {connectionWords[connection]}
          </span>
          <Person />
        </div>
      </header>
      <main className="main" id="main">
        <Outlet />
      </main>
    </>
  )
}

/** What stands around every page; without a session it is the way to one. */
export function Frame() {
  const session = useQuery(sessionQuery)
  if (session.isPending) {
    return (
      <main className="main">
        <Waiting rows={4} />
      </main>
    )
  }
  if (session.data !== undefined) return <SignedIn />
  const isSignedOut = session.error instanceof ProblemError && session.error.problem.status === 401
  if (isSignedOut) return <SignIn onRetry={() => void session.refetch()} />
  return (
    <main className="main">
      <ProblemNote error={session.error} onRetry={() => void session.refetch()} />
    </main>
  )
}
