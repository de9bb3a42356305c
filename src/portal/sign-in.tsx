/** Shown without a session: where the one-time link comes from. */
export function SignIn({ onRetry }: { readonly onRetry: () => void }) {
  return (
    <main className="sign-in">
      <p className="eyebrow">FractalOps Ledger</p>
      <h1>Sign in with your one-time link</h1>
      <p>
        This portal has no passwords. A link from the command line signs this browser in, once; your
        name then stands on everything you propose and decide.
      </p>
      <ol>
        <li>
          <strong>You started the service.</strong> The link is in the terminal, printed by{' '}
          <code>fractalops up</code>.
        </li>
        <li>
          <strong>Somebody else runs it.</strong> Ask its administrator for a link of your own:
          <pre className="json" tabIndex={0} aria-label="Command that makes a link">
            fractalops token create --name ada --access proposer
          </pre>
        </li>
        <li>
          <strong>The link was used before.</strong> Each works once, within 15 minutes. With your
          token, <code>fractalops token link</code> makes another.
        </li>
      </ol>
      <button type="button" className="button" onClick={onRetry}>
        I have signed in: look again
      </button>
    </main>
  )
}
