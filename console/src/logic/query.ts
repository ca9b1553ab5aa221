import type { FleetCluster } from '../api/types';
import { expiry, HEALTHS, type Health, health } from './health';

/** A condition of a filter, already understood. */
type Test = (cluster: FleetCluster, now: number) => boolean;

export interface Query {
  tests: Test[];
  /** What could not be understood, in words. */
  problems: string[];
}

const UNITS: Record<string, number> = { h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/**
 * Understands a filter: terms with spaces between them, of which all must hold; `-` in front negates one.
 * `word` looks in name, alias, reason and URL; `key=value`, `key!=value` and `label:key` in labels; and there are
 * `status:unhealthy`, `version:1.32`, `credential:x509`, `expires:30d`, `slower:100`.
 */
export function parseQuery(text: string): Query {
  const query: Query = { tests: [], problems: [] };
  for (const term of text.split(/\s+/).filter(Boolean)) {
    const negated = term.length > 1 && term.startsWith('-');
    const test = parseTerm(negated ? term.slice(1) : term, query.problems);
    if (test) query.tests.push(negated ? (cluster, now) => !test(cluster, now) : test);
  }
  return query;
}

export function matches(query: Query, cluster: FleetCluster, now: number): boolean {
  return query.tests.every((test) => test(cluster, now));
}

function parseTerm(term: string, problems: string[]): Test | null {
  const field = /^(status|label|version|credential|expires|slower|engine):(.*)$/i.exec(term);
  if (field) return parseField(field[1]?.toLowerCase() ?? '', field[2] ?? '', problems);
  const label = /^([^=!]+)(!?=)=?(.*)$/.exec(term);
  if (label) {
    const [, key = '', operator, value = ''] = label;
    return (cluster) => (cluster.labels[key] === value) === (operator === '=');
  }
  const word = term.toLowerCase();
  return (cluster) =>
    cluster.name.includes(word) ||
    cluster.alias.toLowerCase().includes(word) ||
    cluster.reason.toLowerCase().includes(word) ||
    cluster.apiServerURL.toLowerCase().includes(word);
}

function parseField(field: string, value: string, problems: string[]): Test | null {
  const wanted = value.toLowerCase();
  const unclear = (remedy: string): null => {
    problems.push(`${field}:${value} is not understood: ${remedy}`);
    return null;
  };
  switch (field) {
    case 'status': {
      if (wanted === 'attention') return (cluster, now) => health(cluster, now) !== 'healthy';
      const found = HEALTHS.find((one) => one === wanted || (one === 'warned' && wanted === 'warning'));
      return found ? statusTest(found) : unclear('use unhealthy, warning, unknown, healthy or attention');
    }
    case 'label':
      return value ? (cluster) => Object.hasOwn(cluster.labels, value) : unclear('name a label');
    case 'version':
      return (cluster) => startsWithVersion(cluster.version, wanted);
    case 'credential':
      return (cluster) => (cluster.credential.type ?? '').toLowerCase().includes(wanted);
    case 'engine':
      return (cluster) => cluster.engine === wanted;
    case 'slower':
      return /^\d+(\.\d+)?$/.test(wanted)
        ? (cluster) => (cluster.latency.at(-1) ?? 0) > Number(wanted)
        : unclear('give milliseconds, as in slower:100');
    default: {
      const [, number, unit] = /^(\d+)([hdw])$/.exec(wanted) ?? [];
      if (!number || !unit) return unclear('give hours, days or weeks, as in expires:30d');
      const within = Number(number) * (UNITS[unit] ?? 0);
      return (cluster, now) => {
        const ends = expiry(cluster);
        return ends !== null && ends - now < within;
      };
    }
  }
}

function statusTest(wanted: Health): Test {
  return (cluster, now) => health(cluster, now) === wanted;
}

/** `1.3` finds v1.3.9 and not v1.32.4. */
function startsWithVersion(version: string, wanted: string): boolean {
  const plain = version.replace(/^v/, '');
  const prefix = wanted.replace(/^v/, '');
  return plain === prefix || plain.startsWith(prefix.endsWith('.') ? prefix : `${prefix}.`);
}

/** The filter with a `status:` term put in, exchanged, or, if it is there already, taken out. */
export function toggleStatus(text: string, status: string): string {
  const terms = text.split(/\s+/).filter(Boolean);
  const others = terms.filter((term) => !/^status:/i.test(term));
  const had = terms.includes(`status:${status}`);
  return [...others, ...(had ? [] : [`status:${status}`])].join(' ');
}

/** The filter with a term put in or, if it is there already, taken out. */
export function toggleTerm(text: string, term: string): string {
  const terms = text.split(/\s+/).filter(Boolean);
  return (terms.includes(term) ? terms.filter((one) => one !== term) : [...terms, term]).join(' ');
}
