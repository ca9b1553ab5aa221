import { useEffect } from 'preact/hooks';
import { Store, useStore } from './store';

// Ages and expiries are told by the gateway's clock: the browser's may be wrong.
let ahead = 0;

const tick = new Store(Date.now());

export function now(): number {
  return Date.now() + ahead;
}

export function setClock(time: string): void {
  const at = Date.parse(time);
  if (Number.isNaN(at)) return;
  ahead = at - Date.now();
  tick.set(now());
}

let users = 0;
let timer: ReturnType<typeof setInterval> | undefined;

/** The gateway's time, a little old: it goes on every ten seconds, for the whole page at once. */
export function useNow(): number {
  useEffect(() => {
    users += 1;
    if (users === 1) timer = setInterval(() => tick.set(now()), 10_000);
    return () => {
      users -= 1;
      if (users === 0) clearInterval(timer);
    };
  }, []);
  return useStore(tick);
}
