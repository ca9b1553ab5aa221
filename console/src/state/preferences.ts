import { Store } from './store';

const PREFIX = 'cluster-gateway.';

function load<T>(key: string, otherwise: T, valid: (value: unknown) => value is T): T {
  try {
    const text = localStorage.getItem(PREFIX + key);
    const value: unknown = text === null ? otherwise : JSON.parse(text);
    return valid(value) ? value : otherwise;
  } catch {
    return otherwise;
  }
}

function save(key: string, text: string | null): void {
  try {
    if (text === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, text);
  } catch {
    // Storage is switched off or full: the choice holds until the page is closed.
  }
}

export type Theme = 'system' | 'light' | 'dark';

// Not JSON: theme.js reads it before anything else runs.
export const theme = new Store<Theme>((document.documentElement.dataset.theme as Theme | undefined) ?? 'system');

export function setTheme(value: Theme): void {
  if (value === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
  save('theme', value === 'system' ? null : value);
  theme.set(value);
}

/** A filter and an order that somebody has given a name. */
export interface View {
  name: string;
  query: string;
  sort: string;
}

/** Views that everybody has. */
export const BUILT_IN_VIEWS: readonly View[] = [
  { name: 'Needs attention', query: 'status:attention', sort: 'status' },
  { name: 'Credentials that end within 30 days', query: 'expires:30d', sort: 'expires' },
  { name: 'Slowest first', query: '', sort: '-latency' },
  { name: 'Oldest Kubernetes first', query: '', sort: 'version' },
];

function areViews(value: unknown): value is View[] {
  return (
    Array.isArray(value) &&
    value.every((view) =>
      ['name', 'query', 'sort'].every((key) => typeof (view as Record<string, unknown>)?.[key] === 'string'),
    )
  );
}

export const views = new Store<View[]>(load('views', [], areViews));

export function saveView(view: View): void {
  setViews([...views.get().filter((other) => other.name !== view.name), view]);
}

export function removeView(name: string): void {
  setViews(views.get().filter((view) => view.name !== name));
}

function setViews(value: View[]): void {
  views.set(value);
  save('views', JSON.stringify(value));
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

/** Whether single keys are shortcuts; people who dictate switch this off. */
export const shortcuts = new Store<boolean>(load('shortcuts', true, isBoolean));

export function setShortcuts(value: boolean): void {
  shortcuts.set(value);
  save('shortcuts', JSON.stringify(value));
}
