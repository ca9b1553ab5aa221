import { useEffect, useState } from 'preact/hooks';
import { connection, retryNow } from '../state/fleet';
import { useStore } from '../state/store';
import { Icon } from './icons';

/** How long a connection may be away before anybody is told: a restart of the gateway is no news. */
const PATIENCE = 1500;

export function ConnectionBanner() {
  const state = useStore(connection);
  const away = state !== null && !state.connected;
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (!away) {
      setShown(false);
      return;
    }
    const timer = setTimeout(() => setShown(true), PATIENCE);
    return () => clearTimeout(timer);
  }, [away]);
  if (!shown || !state || state.connected) return null;
  return (
    <div class="banner" role="alert">
      <Icon name="warning" />
      <span>
        <b>{state.message}</b> What you see is as old as that. The console connects again by itself.
      </span>
      <button type="button" class="button small" onClick={retryNow}>
        Connect now
      </button>
    </div>
  );
}
