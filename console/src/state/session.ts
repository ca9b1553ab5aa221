import { ApiError, onSignedOut, request, setCsrfToken } from '../api/client';
import type { Session } from '../api/types';
import { setClock } from './clock';
import { location } from './router';
import { Store } from './store';

export type SessionState =
  | { state: 'loading' }
  | { state: 'signedIn'; session: Session }
  | { state: 'signedOut' }
  | { state: 'failed'; error: ApiError };

export const session = new Store<SessionState>({ state: 'loading' });

onSignedOut(() => session.set({ state: 'signedOut' }));

/** Asks who we are. */
export async function loadSession(): Promise<void> {
  try {
    accept(await request<Session>('/api/v1/session'));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    session.set(error.status === 401 ? { state: 'signedOut' } : { state: 'failed', error });
  }
}

/** Signs in with a token; throws an `ApiError` if it is not accepted. */
export async function signIn(token: string): Promise<void> {
  accept(await request<Session>('/api/v1/session', { method: 'POST', body: { token } }));
}

export async function signOut(): Promise<void> {
  await request('/api/v1/session', { method: 'DELETE' }).catch(() => {});
  session.set({ state: 'signedOut' });
}

function accept(answer: Session): void {
  setCsrfToken(answer.csrfToken);
  setClock(answer.time);
  session.set({ state: 'signedIn', session: answer });
}

/** Where to go after signing in: back to where somebody wanted to go, but never out of the console. */
export function returnPath(search: URLSearchParams = location.get().search): string {
  const wanted = search.get('return') ?? '/';
  return /^\/(?![/\\])/.test(wanted) && !wanted.startsWith('/login') ? wanted : '/';
}
