import { Store } from './store';

export interface Location {
  path: string;
  search: URLSearchParams;
}

function read(): Location {
  return { path: window.location.pathname, search: new URLSearchParams(window.location.search) };
}

/** Where we are. */
export const location = new Store<Location>(read());

window.addEventListener('popstate', () => location.set(read()));

/** Goes to a page of the console. `replace` leaves no step to come back to. */
export function go(to: string, replace = false): void {
  if (replace) window.history.replaceState(null, '', to);
  else window.history.pushState(null, '', to);
  const before = location.get().path;
  location.set(read());
  if (location.get().path !== before) window.scrollTo(0, 0);
}

/** Lets ordinary links work without loading the page anew. */
export function followLinks(): void {
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || link.target || link.hasAttribute('download') || link.origin !== window.location.origin) return;
    if (link.pathname.startsWith('/api/')) return;
    event.preventDefault();
    if (link.href !== window.location.href) go(link.pathname + link.search);
  });
}

export type Route = { page: 'fleet' | 'join' | 'login' | 'unknown' } | { page: 'cluster' | 'doctor'; name: string };

export function route(path: string): Route {
  if (path === '/') return { page: 'fleet' };
  if (path === '/join') return { page: 'join' };
  if (path === '/login') return { page: 'login' };
  const [, encoded, doctor] = /^\/clusters\/([^/]+)(\/doctor)?\/?$/.exec(path) ?? [];
  if (!encoded) return { page: 'unknown' };
  try {
    return { page: doctor ? 'doctor' : 'cluster', name: decodeURIComponent(encoded) };
  } catch {
    return { page: 'unknown' };
  }
}

/** The path of a cluster's page. */
export function clusterUrl(name: string, part = ''): string {
  return `/clusters/${encodeURIComponent(name)}${part ? `/${part}` : ''}`;
}
