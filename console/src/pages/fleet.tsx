import { useMemo } from 'preact/hooks';
import { plural } from '../logic/format';
import { count, HEALTH_WORDS, HEALTHS, type HealthCounts } from '../logic/health';
import { matches, parseQuery, toggleStatus } from '../logic/query';
import { DEFAULT_SORT, parseSort, type Sort, sorted, writeSort } from '../logic/sort';
import { useNow } from '../state/clock';
import { fleet } from '../state/fleet';
import { usePermissions } from '../state/permissions';
import { go, location } from '../state/router';
import { useStore } from '../state/store';
import { Empty, Loading, useHeading } from '../ui/basics';
import { HealthGlyph, Icon } from '../ui/icons';
import { FleetEmpty } from './fleet-empty';
import { FleetTable } from './fleet-table';
import { ViewsMenu } from './fleet-views';

/** Shows the filter and the order in the address, so that a view can be sent to somebody. */
function show(query: string, sort: Sort): void {
  const search = new URLSearchParams();
  if (query) search.set('q', query);
  if (writeSort(sort) !== writeSort(DEFAULT_SORT)) search.set('sort', writeSort(sort));
  go(search.size ? `/?${search}` : '/', true);
}

export function FleetPage() {
  const heading = useHeading('Fleet');
  const { clusters, loaded } = useStore(fleet);
  const { search } = useStore(location);
  const now = useNow();
  const permissions = usePermissions();
  const text = search.get('q') ?? '';
  const order = search.get('sort');
  const sort = useMemo(() => parseSort(order), [order]);
  const query = useMemo(() => parseQuery(text), [text]);
  const counts = useMemo(() => count(clusters.values(), now), [clusters, now]);
  const rows = useMemo(
    () =>
      sorted(
        [...clusters.values()].filter((cluster) => matches(query, cluster, now)),
        sort,
        now,
      ),
    [clusters, query, sort, now],
  );

  return (
    <>
      <div class="page-head">
        <h1 ref={heading} tabIndex={-1}>
          Fleet
        </h1>
        <span class="page-count" role="status">
          {loaded &&
            (rows.length === clusters.size
              ? plural(clusters.size, 'cluster')
              : `${rows.length.toLocaleString('en')} of ${plural(clusters.size, 'cluster')}`)}
        </span>
        {permissions.join && clusters.size > 0 && (
          <a class="button primary" href="/join">
            <Icon name="plus" />
            Join a cluster
          </a>
        )}
      </div>
      {!loaded && <Loading lines={8} />}
      {loaded && clusters.size === 0 && <FleetEmpty />}
      {loaded && clusters.size > 0 && (
        <>
          <Summary
            counts={counts}
            total={clusters.size}
            text={text}
            onToggle={(health) => show(toggleStatus(text, health), sort)}
          />
          <div class="toolbar">
            <label class="search">
              <Icon name="search" />
              <input
                id="filter"
                type="search"
                value={text}
                placeholder="Filter: berlin env=prod version:1.32"
                aria-label="Filter"
                aria-describedby={query.problems.length ? 'filter-problem' : undefined}
                autocomplete="off"
                spellcheck={false}
                onInput={(event) => show(event.currentTarget.value, sort)}
                onKeyDown={(event) => {
                  if (event.key === 'Escape') show('', sort);
                  if (event.key === 'ArrowDown')
                    document.querySelector<HTMLElement>('.fleet-row[tabindex="0"]')?.focus();
                }}
              />
              <kbd aria-hidden="true">/</kbd>
            </label>
            <ViewsMenu query={text} sort={sort} onShow={show} />
          </div>
          {query.problems.length > 0 && (
            <p class="hint is-bad-text" id="filter-problem" role="status">
              {query.problems.join('; ')}
            </p>
          )}
          {rows.length > 0 ? (
            <FleetTable
              rows={rows}
              sort={sort}
              now={now}
              onSort={(next) => show(text, next)}
              onQuery={(next) => show(next, sort)}
              query={text}
            />
          ) : (
            <Empty title="No cluster is like that" icon="search">
              <p>
                Nothing in the fleet matches <code>{text}</code>.
              </p>
              <button type="button" class="button" onClick={() => show('', sort)}>
                Show all clusters
              </button>
            </Empty>
          )}
        </>
      )}
    </>
  );
}

interface SummaryProps {
  counts: HealthCounts;
  total: number;
  text: string;
  onToggle: (status: string) => void;
}

function Summary({ counts, total, text, onToggle }: SummaryProps) {
  return (
    <div class="summary">
      <div class="summary-bar" aria-hidden="true">
        {HEALTHS.map(
          (one) => counts[one] > 0 && <span key={one} class={`is-${one}`} style={{ flexGrow: counts[one] / total }} />,
        )}
      </div>
      <div class="summary-counts" role="group" aria-label="Clusters by state">
        {HEALTHS.map((one) => {
          const word = one === 'warned' ? 'warning' : one;
          return (
            <button
              type="button"
              key={one}
              class={`count ${counts[one] ? `is-${one}` : 'is-none'}`}
              aria-pressed={text.split(/\s+/).includes(`status:${word}`)}
              onClick={() => onToggle(word)}
            >
              <HealthGlyph health={one} />
              <b>{counts[one].toLocaleString('en')}</b>
              <span>{HEALTH_WORDS[one]}</span>
            </button>
          );
        })}
      </div>
    </div>
  );
}
