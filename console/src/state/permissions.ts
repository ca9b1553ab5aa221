import type { Permissions, Session } from '../api/types';
import { session } from './session';
import { useStore } from './store';

const NOTHING: Permissions = { join: false, update: false, detach: false, diagnose: false, kubeconfig: false };

/** The session of the pages that are only there for people who are signed in. */
export function useSession(): Session | null {
  const state = useStore(session);
  return state.state === 'signedIn' ? state.session : null;
}

/** What the user may do, as far as the server has said; it asks again when something is done. */
export function usePermissions(): Permissions {
  return useSession()?.permissions ?? NOTHING;
}
