import { HOPS, type Hop } from '../api/types';
import { milliseconds } from '../logic/format';
import { HOP_WORDS, type HopState, hopState, type Walk } from '../logic/hops';

const MARKS: Record<HopState, string> = {
  Passed: 'M5 8.3l2.1 2 4-4.3',
  Warned: 'M8 4.6v4M8 11.2v.2',
  Failed: 'M5.5 5.5l5 5M10.5 5.5l-5 5',
  Skipped: 'M5.5 8h5',
  Running: '',
  Waiting: '',
};

const WORDS: Record<HopState, string> = {
  Passed: 'passed',
  Warned: 'warning',
  Failed: 'failed',
  Skipped: 'skipped',
  Running: 'being tried',
  Waiting: 'not yet tried',
};

/** The way from the gateway to the member as a picture: a line with a station for each hop. */
export function HopMap({ walk, from, to }: { walk: Walk; from: string; to: string }) {
  return (
    <div class="hop-map" aria-hidden="true">
      <span class="terminus">{from}</span>
      {HOPS.map((hop) => (
        <span key={hop} class={`station is-${hopState(walk, hop)}`}>
          <Station state={hopState(walk, hop)} />
          <span class="station-name">{HOP_WORDS[hop].title}</span>
        </span>
      ))}
      <span class={`terminus ${walk.findings.size === HOPS.length && !failed(walk) ? 'is-reached' : ''}`}>{to}</span>
    </div>
  );
}

function failed(walk: Walk): boolean {
  return [...walk.findings.values()].some((finding) => finding.outcome === 'Failed');
}

function Station({ state }: { state: HopState }) {
  return (
    <svg class={`station-sign is-${state}`} viewBox="0 0 16 16" width="22" height="22" aria-hidden="true">
      <circle cx="8" cy="8" r="7" />
      {MARKS[state] && <path d={MARKS[state]} />}
    </svg>
  );
}

/** The same as a list, with what was found at each hop and what to do about it. */
export function HopList({ walk, hops = HOPS }: { walk: Walk; hops?: readonly Hop[] }) {
  return (
    <ol class="hop-list" aria-label="Hops">
      {hops.map((hop) => (
        <HopRow key={hop} walk={walk} hop={hop} />
      ))}
    </ol>
  );
}

function HopRow({ walk, hop }: { walk: Walk; hop: Hop }) {
  const state = hopState(walk, hop);
  const finding = walk.findings.get(hop);
  return (
    <li class={`hop is-${state}`} data-hop={hop} data-outcome={state}>
      <Station state={state} />
      <div class="hop-words">
        <p class="hop-title">
          <b>{HOP_WORDS[hop].title}</b>
          <span class="sr-only">{WORDS[state]}</span>
          {finding && finding.outcome !== 'Skipped' && (
            <span class="hop-took">{milliseconds(finding.tookMilliseconds)}</span>
          )}
        </p>
        <p class="hop-found">{finding?.found ?? HOP_WORDS[hop].question}</p>
        {finding?.remedy && (
          <p class="hop-remedy">
            <b>What to do</b> {finding.remedy}
          </p>
        )}
      </div>
    </li>
  );
}
