import { Component } from 'preact';
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { FleetCluster } from '../api/types';
import { duration } from '../logic/format';
import { EXPIRES_SOON, explanation, HEALTH_WORDS, health } from '../logic/health';
import { toggleTerm } from '../logic/query';
import type { Sort, SortKey } from '../logic/sort';
import { visible } from '../logic/window';
import { shortcuts } from '../state/preferences';
import { clusterUrl, go } from '../state/router';
import { HealthGlyph, Icon } from '../ui/icons';
import { Sparkline } from '../ui/sparkline';

interface TableProps {
  rows: FleetCluster[];
  sort: Sort;
  now: number;
  query: string;
  onSort: (sort: Sort) => void;
  onQuery: (query: string) => void;
}

const COLUMNS: { title: string; key: SortKey | null; class: string }[] = [
  { title: 'Cluster', key: 'name', class: 'cell-name' },
  { title: 'Health', key: 'status', class: 'cell-health' },
  { title: 'Latency', key: 'latency', class: 'cell-latency' },
  { title: 'Version', key: 'version', class: 'cell-version' },
  { title: 'Credential', key: 'expires', class: 'cell-credential' },
  { title: 'Labels', key: null, class: 'cell-labels' },
];

const NARROW = window.matchMedia('(max-width: 759px)');

/** Heights of a row in CSS pixels; fleet.css says the same. */
function useRowHeight(): number {
  const [narrow, setNarrow] = useState(NARROW.matches);
  useEffect(() => {
    const change = () => setNarrow(NARROW.matches);
    NARROW.addEventListener('change', change);
    return () => NARROW.removeEventListener('change', change);
  }, []);
  return narrow ? 68 : 44;
}

/** The rows in sight, for a list that scrolls with the page. */
function useWindow(total: number, rowHeight: number) {
  const list = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState(() => visible(0, window.innerHeight, rowHeight, total));
  useLayoutEffect(() => {
    const measure = () => {
      const top = list.current?.getBoundingClientRect().top ?? 0;
      const next = visible(-top, window.innerHeight, rowHeight, total);
      setRange((old) => (old.first === next.first && old.last === next.last ? old : next));
    };
    measure();
    window.addEventListener('scroll', measure, { passive: true });
    window.addEventListener('resize', measure);
    return () => {
      window.removeEventListener('scroll', measure);
      window.removeEventListener('resize', measure);
    };
  }, [total, rowHeight]);
  return { list, range };
}

export function FleetTable({ rows, sort, now, query, onSort, onQuery }: TableProps) {
  const rowHeight = useRowHeight();
  const { list, range } = useWindow(rows.length, rowHeight);
  const [active, setActive] = useState('');
  const wantsFocus = useRef(false);
  const activeIndex = rows.findIndex((row) => row.name === active);
  const first = Math.min(range.first, rows.length);
  const shown = rows.slice(first, range.last);
  const tabStop = shown.some((row) => row.name === active) ? active : shown[0]?.name;

  const latest = useRef({ query, onQuery });
  latest.current = { query, onQuery };
  const onLabel = useCallback((term: string) => latest.current.onQuery(toggleTerm(latest.current.query, term)), []);

  useLayoutEffect(() => {
    if (!wantsFocus.current) return;
    const row = list.current?.querySelector<HTMLElement>(`[data-index="${activeIndex}"]`);
    if (!row) return;
    wantsFocus.current = false;
    row.focus({ preventScroll: true });
  });

  const walk = (to: number) => {
    const index = Math.max(0, Math.min(rows.length - 1, to));
    const row = rows[index];
    if (!row) return;
    wantsFocus.current = true;
    setActive(row.name);
    scrollTo(list.current, index, rowHeight);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = Math.max(activeIndex, 0);
    const page = Math.max(1, Math.floor(window.innerHeight / rowHeight) - 4);
    const letters = shortcuts.get();
    const steps: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: rows.length - 1,
      ...(letters ? { j: at + 1, k: at - 1 } : {}),
    };
    const next = steps[event.key];
    if (next !== undefined) {
      event.preventDefault();
      walk(next);
    } else if (
      event.key === 'Enter' &&
      event.target instanceof HTMLElement &&
      event.target.role === 'row' &&
      rows[at]
    ) {
      go(clusterUrl(rows[at].name));
    }
  };

  return (
    <div
      class="fleet"
      role="grid"
      aria-label="Clusters"
      aria-rowcount={rows.length + 1}
      aria-colcount={COLUMNS.length}
      tabIndex={-1}
      onKeyDown={onKeyDown}
    >
      <div class="fleet-head" role="row" aria-rowindex={1} tabIndex={-1}>
        {COLUMNS.map((column) => (
          <Header key={column.title} column={column} sort={sort} onSort={onSort} />
        ))}
      </div>
      <div class="fleet-list" role="rowgroup" ref={list} style={{ height: `${rows.length * rowHeight}px` }}>
        {shown.map((cluster, index) => (
          <Row
            key={cluster.name}
            cluster={cluster}
            index={first + index}
            top={(first + index) * rowHeight}
            now={now}
            tabStop={cluster.name === tabStop}
            onFocus={setActive}
            onLabel={onLabel}
          />
        ))}
      </div>
    </div>
  );
}

/** Brings a row into sight, clear of what sticks to the top. */
function scrollTo(list: HTMLElement | null, index: number, rowHeight: number): void {
  if (!list) return;
  const top = list.getBoundingClientRect().top + index * rowHeight;
  const above = top - 110;
  const below = top + rowHeight + 16 - window.innerHeight;
  if (above < 0) window.scrollBy(0, above);
  else if (below > 0) window.scrollBy(0, below);
}

interface HeaderProps {
  column: (typeof COLUMNS)[number];
  sort: Sort;
  onSort: (sort: Sort) => void;
}

function Header({ column, sort, onSort }: HeaderProps) {
  const { key } = column;
  const current = key !== null && key === sort.key;
  return (
    <div
      class={column.class}
      role="columnheader"
      tabIndex={-1}
      aria-sort={current ? (sort.descending ? 'descending' : 'ascending') : undefined}
    >
      {key ? (
        <button type="button" class="sort" onClick={() => onSort({ key, descending: current && !sort.descending })}>
          {column.title}
          {current && <Icon name={sort.descending ? 'down' : 'up'} />}
        </button>
      ) : (
        column.title
      )}
    </div>
  );
}

interface RowProps {
  cluster: FleetCluster;
  index: number;
  top: number;
  now: number;
  tabStop: boolean;
  /** Must stay the same function: a row does not look whether it is another. */
  onFocus: (name: string) => void;
  onLabel: (term: string) => void;
}

/** Draws itself again only if something that it shows has changed: scrolling draws the rows that are new, not all. */
class Row extends Component<RowProps> {
  override shouldComponentUpdate(next: RowProps): boolean {
    const { cluster, index, top, now, tabStop } = this.props;
    return (
      next.cluster !== cluster ||
      next.index !== index ||
      next.top !== top ||
      next.now !== now ||
      next.tabStop !== tabStop
    );
  }

  override render() {
    return <RowContent {...this.props} />;
  }
}

function RowContent({ cluster, index, top, now, tabStop, onFocus, onLabel }: RowProps) {
  const state = health(cluster, now);
  const why = explanation(cluster, now);
  return (
    <div
      class={`fleet-row is-${state}`}
      role="row"
      aria-rowindex={index + 2}
      data-index={index}
      data-cluster={cluster.name}
      tabIndex={tabStop ? 0 : -1}
      style={{ transform: `translateY(${top}px)` }}
      onFocus={() => onFocus(cluster.name)}
    >
      <div class="cell-name" role="gridcell">
        <HealthGlyph health={state} />
        <span class="names">
          <a class="row-link" href={clusterUrl(cluster.name)} tabIndex={-1} draggable={false}>
            {cluster.alias || cluster.name}
          </a>
          {cluster.alias && <span class="muted second">{cluster.name}</span>}
        </span>
      </div>
      <div class="cell-health" role="gridcell" title={why || undefined}>
        <span class={`state-word is-${state}`}>{HEALTH_WORDS[state]}</span>
        {state === 'unhealthy' && cluster.since && (
          <span class="muted since">{duration(now - Date.parse(cluster.since))}</span>
        )}
        {why && <span class="why">{why}</span>}
      </div>
      <div class="cell-latency" role="gridcell">
        <Sparkline samples={cluster.latency} />
      </div>
      <div class="cell-version" role="gridcell">
        {cluster.version || <span class="muted">–</span>}
      </div>
      <div class="cell-credential" role="gridcell">
        <Credential cluster={cluster} now={now} />
      </div>
      <div class="cell-labels" role="gridcell">
        {Object.entries(cluster.labels).map(([key, value]) => (
          <button
            type="button"
            key={key}
            class="chip"
            tabIndex={-1}
            title={`Filter by ${key}=${value}`}
            onClick={() => onLabel(`${key}=${value}`)}
          >
            <span class="chip-key">{key}</span>
            {value && <span class="chip-value">{value}</span>}
          </button>
        ))}
      </div>
    </div>
  );
}

const RENEWED = { Gateway: 'renewed', Program: 'by program' };

export function Credential({ cluster, now }: { cluster: FleetCluster; now: number }) {
  const { credential } = cluster;
  if (credential.renewal !== 'None') {
    const words = credential.renewal === 'Gateway' ? 'The gateway renews it in time' : 'A program is asked for it';
    return (
      <span class="muted" title={words}>
        {RENEWED[credential.renewal]}
      </span>
    );
  }
  if (!credential.expires) return <span class="muted">no end</span>;
  const left = Date.parse(credential.expires) - now;
  const tone = left <= 0 ? 'is-bad-text' : left < EXPIRES_SOON ? 'is-warn-text' : '';
  return <span class={tone}>{left <= 0 ? `ended ${duration(left)} ago` : `${duration(left)} left`}</span>;
}
