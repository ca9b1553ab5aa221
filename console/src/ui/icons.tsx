import type { Health } from '../logic/health';

// Drawn on a grid of 16, in strokes of 1.5.
const PATHS = {
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM11 11l3 3',
  plus: 'M8 3v10M3 8h10',
  close: 'M4 4l8 8M12 4l-8 8',
  check: 'M3 8.5l3.2 3L13 4.5',
  pencil: 'M10.5 3l2.5 2.5L5.5 13 2.5 13.5 3 10.5zM9 4.5L11.5 7',
  chevron: 'M4.5 6.5L8 10l3.5-3.5',
  right: 'M6.5 4.5L10 8l-3.5 3.5',
  up: 'M8 13V3.5M4 7l4-4 4 4',
  down: 'M8 3v9.5M4 9l4 4 4-4',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  download: 'M8 2.5v7.5M4.5 7L8 10.5 11.5 7M3 13.5h10',
  terminal: 'M2.5 3.5h11v9h-11zM5 6.5L6.8 8 5 9.5M8.5 10h2.5',
  stethoscope:
    'M4 2.5H3v4a3 3 0 0 0 6 0v-4H8M6 9.5v1a3.2 3.2 0 0 0 6.4 0V9M12.4 9a1.4 1.4 0 1 0 0-2.8 1.4 1.4 0 0 0 0 2.8Z',
  unlink: 'M6.8 9.2L9.2 6.8M7 4.5l1.4-1.4a3 3 0 0 1 4.3 4.3L11.5 8.8M9 11.5l-1.4 1.4a3 3 0 0 1-4.3-4.3L4.5 7.2',
  sun: 'M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1.5V3M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1 1M11.6 11.6l1 1M12.6 3.4l-1 1M4.4 11.6l-1 1',
  moon: 'M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5Z',
  screen: 'M2 3h12v8H2zM6 13.5h4',
  user: 'M8 8a2.8 2.8 0 1 0 0-5.6A2.8 2.8 0 0 0 8 8ZM2.8 13.8a5.2 5.2 0 0 1 10.4 0',
  help: 'M5.8 6a2.2 2.2 0 1 1 3.2 2c-.7.4-1 .8-1 1.6M8 12.2v.2',
  refresh: 'M13 5.5A5.5 5.5 0 1 0 13.5 8M13.5 2.5v3.2h-3.2',
  bookmark: 'M4 2.5h8v11L8 10.7 4 13.5z',
  file: 'M4 1.8h5l3.2 3.2v9.2H4zM9 1.8V5h3.2',
  shield: 'M8 1.8l5 1.8v4.2c0 3.2-2.2 5.3-5 6.4-2.8-1.1-5-3.2-5-6.4V3.6z',
  undo: 'M3 6.5h6.5a3.5 3.5 0 0 1 0 7H6M6 3.5l-3 3 3 3',
  warning: 'M8 2.5l6 11H2zM8 6.5v3.2M8 11.6v.2',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

// A shape for each state: colour alone tells nothing to people who do not see it.
const GLYPHS: Record<Health, string> = {
  healthy: 'M8 13.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11Z',
  warned: 'M8 2l6.5 11.5h-13z',
  unhealthy: 'M5.3 2h5.4L14 5.3v5.4L10.7 14H5.3L2 10.7V5.3z',
  unknown: 'M8 13a5 5 0 1 0 0-10 5 5 0 0 0 0 10Z',
};
const MARKS: Record<Health, string> = {
  healthy: 'M5.4 8.2l1.8 1.7 3.4-3.6',
  warned: 'M8 6.4v3.2M8 11.4v.2',
  unhealthy: 'M6 6l4 4M10 6l-4 4',
  unknown: '',
};

/** The sign of a state. What it means must stand beside it, or be its label. */
export function HealthGlyph({ health }: { health: Health }) {
  return (
    <svg class={`glyph is-${health}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path class="shape" d={GLYPHS[health]} />
      {MARKS[health] && <path class="mark" d={MARKS[health]} />}
    </svg>
  );
}

/** The gateway's own sign. */
export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M7 16h8M15 16c5 0 4-7 10-7M15 16h10M15 16c5 0 4 7 10 7" />
      <circle cx="15" cy="16" r="3.4" />
    </svg>
  );
}
