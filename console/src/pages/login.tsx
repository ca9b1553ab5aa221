import { useEffect, useState } from 'preact/hooks';
import { ApiError } from '../api/client';
import type { LoginMethods } from '../api/types';
import { useLoad } from '../state/load';
import { go, location } from '../state/router';
import { returnPath, session, signIn } from '../state/session';
import { useStore } from '../state/store';
import { Loading, Problem, useHeading } from '../ui/basics';
import { Logo } from '../ui/icons';
import { ThemeMenu } from '../ui/top-bar';

export function LoginPage() {
  const heading = useHeading('Sign in');
  const methods = useLoad<LoginMethods>('/api/v1/login');
  const state = useStore(session);
  const { search } = useStore(location);
  useEffect(() => {
    if (state.state === 'signedIn') go(returnPath(), true);
  }, [state.state]);
  const refused = search.get('error');
  return (
    <main class="login">
      <div class="login-corner">
        <ThemeMenu />
      </div>
      <div class="login-card">
        <Logo />
        <h1 ref={heading} tabIndex={-1}>
          Sign in
        </h1>
        <p class="muted login-where">{methods.value ? `to ${methods.value.server.name}` : 'to the gateway'}</p>
        {refused && <Problem error={{ message: refused, remedy: 'Try again, or sign in with a token.' }} />}
        {methods.error && <Problem error={methods.error} onRetry={methods.reload} />}
        {!methods.value && !methods.error && <Loading />}
        {methods.value && <Methods methods={methods.value} />}
      </div>
      {methods.value && <p class="login-foot muted">Cluster Gateway {methods.value.server.version}</p>}
    </main>
  );
}

function Methods({ methods }: { methods: LoginMethods }) {
  const start = methods.oidc && `${methods.oidc.start}?return=${encodeURIComponent(returnPath())}`;
  return (
    <>
      {methods.oidc && start && (
        <a class="button primary big" href={start}>
          Continue with {methods.oidc.name}
        </a>
      )}
      {methods.oidc && methods.token && <div class="or">or</div>}
      {methods.token && <TokenForm primary={!methods.oidc} />}
      {!methods.oidc && !methods.token && (
        <p>
          Sign in with a client certificate: your browser offers it when the page is opened. There is none, or it is not
          accepted.
        </p>
      )}
    </>
  );
}

function TokenForm({ primary }: { primary: boolean }) {
  const [token, setToken] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await signIn(token.trim());
    } catch (failure) {
      setError(failure instanceof ApiError ? failure : new ApiError(0, 0, String(failure)));
      setBusy(false);
    }
  };
  return (
    <form onSubmit={submit}>
      <label class="field">
        <span>Token</span>
        <input
          type="password"
          value={token}
          autocomplete="off"
          spellcheck={false}
          aria-describedby="token-help"
          onInput={(event) => setToken(event.currentTarget.value)}
        />
      </label>
      <p class="hint" id="token-help">
        A bearer token that the hub accepts. One for a service account: <code>kubectl create token NAME</code>
      </p>
      {error && <Problem error={error} />}
      <button type="submit" class={primary ? 'button primary big' : 'button big'} disabled={busy || !token.trim()}>
        {busy ? 'Signing in…' : 'Sign in with the token'}
      </button>
    </form>
  );
}
