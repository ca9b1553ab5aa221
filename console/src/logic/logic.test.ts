import { describe, expect, test } from 'vitest';
import type { FleetCluster } from '../api/types';
import { bytes, cores, duration, milliseconds, plural, relative } from './format';
import { count, explanation, health } from './health';
import { hopState, NOT_WALKED, step, verdict, worst } from './hops';
import { aliasProblem, labelProblem, nameProblem, parseLabel } from './names';
import { matches, parseQuery, toggleStatus, toggleTerm } from './query';
import { parseSort, sorted, versionNumber, writeSort } from './sort';
import { sparkline } from './sparkline';
import { visible } from './window';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const DAY = 86_400_000;

function cluster(part: Partial<FleetCluster> = {}): FleetCluster {
  return {
    name: 'prod-berlin',
    alias: '',
    description: '',
    icon: '',
    dashboardURL: '',
    labels: { env: 'prod' },
    status: 'Healthy',
    reason: '',
    since: null,
    latency: [10, 12],
    version: 'v1.32.4',
    apiServerURL: 'https://10.0.0.1:6443',
    endpointType: 'Const',
    credential: { type: 'X509Certificate', expires: null, renewal: 'None' },
    engine: 'cluster-gateway',
    createTime: '2026-01-01T00:00:00Z',
    resourceVersion: '1',
    ...part,
  };
}

function ending(days: number, renewal: 'None' | 'Gateway' = 'None'): FleetCluster {
  const expires = new Date(NOW + days * DAY).toISOString();
  return cluster({ credential: { type: 'X509Certificate', expires, renewal } });
}

function found(query: string, one: FleetCluster): boolean {
  return matches(parseQuery(query), one, NOW);
}

describe('health', () => {
  test('healthy with a reason, or with a credential that ends, is a warning', () => {
    expect(health(cluster(), NOW)).toBe('healthy');
    expect(health(cluster({ reason: 'answered 403' }), NOW)).toBe('warned');
    expect(health(ending(6), NOW)).toBe('warned');
    expect(health(ending(8), NOW)).toBe('healthy');
    expect(health(ending(-1), NOW)).toBe('warned');
  });

  test('a credential that is renewed never warns', () => {
    expect(health(ending(0.01, 'Gateway'), NOW)).toBe('healthy');
  });

  test('unhealthy stays unhealthy, and a status of the future is unknown', () => {
    expect(health(cluster({ status: 'Unhealthy' }), NOW)).toBe('unhealthy');
    expect(health(cluster({ status: 'Sleeping' as never }), NOW)).toBe('unknown');
  });

  test('the reason is told, else the end of the credential', () => {
    expect(explanation(cluster({ reason: 'dial tcp' }), NOW)).toBe('dial tcp');
    expect(explanation(ending(1.5), NOW)).toContain('in 1 day,');
    expect(explanation(ending(0.5), NOW)).toContain('within a day');
    expect(explanation(ending(-3), NOW)).toContain('has expired');
    expect(explanation(cluster(), NOW)).toBe('');
  });

  test('counts every cluster once', () => {
    const all = [cluster(), cluster({ status: 'Unhealthy' }), ending(1), cluster({ status: 'Unknown' }), cluster()];
    expect(count(all, NOW)).toEqual({ healthy: 2, unhealthy: 1, warned: 1, unknown: 1 });
  });
});

describe('query', () => {
  test('words look in name, alias, reason and URL, without regard to case', () => {
    expect(found('BERLIN', cluster())).toBe(true);
    expect(found('store', cluster({ alias: 'Store 7' }))).toBe(true);
    expect(found('refused', cluster({ reason: 'connection refused' }))).toBe(true);
    expect(found('10.0.0.1', cluster())).toBe(true);
    expect(found('paris', cluster())).toBe(false);
  });

  test('labels: equal, not equal, there', () => {
    expect(found('env=prod', cluster())).toBe(true);
    expect(found('env==prod', cluster())).toBe(true);
    expect(found('env=dev', cluster())).toBe(false);
    expect(found('env!=dev', cluster())).toBe(true);
    expect(found('team!=data', cluster())).toBe(true);
    expect(found('label:env', cluster())).toBe(true);
    expect(found('label:toString', cluster())).toBe(false);
    expect(found('topology.kubernetes.io/zone=a', cluster({ labels: { 'topology.kubernetes.io/zone': 'a' } }))).toBe(
      true,
    );
  });

  test('fields', () => {
    expect(found('status:warning', ending(1))).toBe(true);
    expect(found('status:attention', cluster())).toBe(false);
    expect(found('version:1.32', cluster())).toBe(true);
    expect(found('version:1.3', cluster())).toBe(false);
    expect(found('expires:30d', ending(20))).toBe(true);
    expect(found('expires:30d', ending(40))).toBe(false);
    expect(found('expires:1w', ending(1, 'Gateway'))).toBe(false);
    expect(found('slower:11', cluster())).toBe(true);
    expect(found('slower:12', cluster())).toBe(false);
    const unknown = cluster({ credential: { type: null, expires: null, renewal: 'None' } });
    expect(found('credential:x509', cluster())).toBe(true);
    expect(found('credential:x509', unknown)).toBe(false);
  });

  test('all terms must hold, and “-” turns one round', () => {
    expect(found('berlin env=prod', cluster())).toBe(true);
    expect(found('berlin env=dev', cluster())).toBe(false);
    expect(found('-env=dev berlin', cluster())).toBe(true);
    expect(found('-berlin', cluster())).toBe(false);
  });

  test('what is not understood is told and filters nothing', () => {
    const query = parseQuery('status:fine expires:soon slower:x');
    expect(query.problems).toHaveLength(3);
    expect(query.tests).toHaveLength(0);
  });

  test('terms are put in and taken out', () => {
    expect(toggleStatus('berlin status:healthy', 'unhealthy')).toBe('berlin status:unhealthy');
    expect(toggleStatus('berlin status:unhealthy', 'unhealthy')).toBe('berlin');
    expect(toggleTerm('berlin', 'env=prod')).toBe('berlin env=prod');
    expect(toggleTerm('berlin env=prod', 'env=prod')).toBe('berlin');
  });
});

describe('sort', () => {
  const names = (list: FleetCluster[]) => list.map((one) => one.name);

  test('the worst first, then by name with numbers as numbers', () => {
    const list = [cluster({ name: 'c-10' }), cluster({ name: 'c-9' }), cluster({ name: 'z', status: 'Unhealthy' })];
    expect(names(sorted(list, parseSort(null), NOW))).toEqual(['z', 'c-9', 'c-10']);
  });

  test('what has no value is last in both directions', () => {
    const list = [
      cluster({ name: 'none', latency: [] }),
      cluster({ name: 'slow', latency: [9] }),
      cluster({ name: 'fast', latency: [1] }),
    ];
    expect(names(sorted(list, parseSort('latency'), NOW))).toEqual(['fast', 'slow', 'none']);
    expect(names(sorted(list, parseSort('-latency'), NOW))).toEqual(['slow', 'fast', 'none']);
  });

  test('versions are numbers', () => {
    expect(versionNumber('v1.9.3')).toBeLessThan(versionNumber('v1.32.0-eks-1') ?? 0);
    expect(versionNumber('unknown')).toBeNull();
  });

  test('an order is read as it is written; nonsense is the default', () => {
    for (const text of ['name', '-name', '-latency', 'status']) expect(writeSort(parseSort(text))).toBe(text);
    expect(writeSort(parseSort('__proto__'))).toBe('status');
  });
});

describe('names', () => {
  const taken = (name: string) => name === 'here';

  test('names', () => {
    expect(nameProblem('prod-berlin', taken)).toBe('');
    for (const bad of ['', 'local', 'a', 'x'.repeat(32), 'Prod', '-a', 'a-', 'a.b', 'a/b', '<b>', 'here']) {
      expect(nameProblem(bad, taken), bad).not.toBe('');
    }
  });

  test('aliases are counted in bytes', () => {
    expect(aliasProblem('')).toBe('');
    expect(aliasProblem('x')).not.toBe('');
    expect(aliasProblem('ü')).toBe('');
    expect(aliasProblem('ü'.repeat(33))).not.toBe('');
  });

  test('labels', () => {
    expect(labelProblem('env', 'prod')).toBe('');
    expect(labelProblem('example.com/env', '')).toBe('');
    for (const [key, value] of [
      ['', 'x'],
      ['a b', 'x'],
      ['env', 'a b'],
      ['env', '-x'],
      ['env', 'x'.repeat(64)],
      ['Example.com/env', ''],
      ['/env', ''],
      ['cluster.core.oam.dev/cluster-credential-type', 'x'],
    ] as const) {
      expect(labelProblem(key, value), `${key}=${value}`).not.toBe('');
    }
    expect(parseLabel(' env = prod ')).toEqual({ key: 'env', value: 'prod' });
    expect(parseLabel('env')).toEqual({ key: 'env', value: '' });
    expect(parseLabel('a=b=c')).toEqual({ key: 'a', value: 'b=c' });
  });
});

describe('format', () => {
  test('lengths and places of time', () => {
    expect(duration(59_000)).toBe('59 s');
    expect(duration(3_600_000)).toBe('1 h');
    expect(duration(5.9 * DAY)).toBe('5 d');
    expect(relative('2026-11-22T11:55:00Z', NOW)).toBe('5 min ago');
    expect(relative('2026-11-25T12:00:00Z', NOW)).toBe('in 3 d');
    expect(relative('2026-11-22T12:00:01Z', NOW)).toBe('now');
    expect(relative('never', NOW)).toBe('–');
    expect(relative(null, NOW)).toBe('–');
  });

  test('numbers', () => {
    expect(milliseconds(0.24)).toBe('0.2 ms');
    expect(milliseconds(120.4)).toBe('120 ms');
    expect(milliseconds(2345)).toBe('2.3 s');
    expect(bytes(64 * 1024 ** 3)).toBe('64 GiB');
    expect(bytes(1536)).toBe('1.5 KiB');
    expect(cores(98.25)).toBe('98.25');
    expect(cores(16)).toBe('16');
    expect(plural(1, 'cluster')).toBe('1 cluster');
    expect(plural(10_000, 'cluster')).toBe('10,000 clusters');
  });
});

describe('pictures', () => {
  test('a failed probe leaves a gap', () => {
    const { line, gaps, end } = sparkline([1, 2, null, 4], 30, 10, 4);
    expect(line.match(/M/g)).toHaveLength(2);
    expect(gaps).toEqual([20]);
    expect(end).toEqual({ x: 30, y: 0 });
  });

  test('nothing, and one, and the same over and over are no trouble', () => {
    expect(sparkline([], 30, 10).line).toBe('');
    expect(sparkline([null], 30, 10).end).toBeNull();
    expect(sparkline([5, 5, 5], 30, 10).line).not.toContain('NaN');
  });

  test('only rows in sight are drawn', () => {
    expect(visible(0, 900, 44, 10_000)).toEqual({ first: 0, last: 31 });
    expect(visible(44 * 5000, 900, 44, 10_000)).toEqual({ first: 4990, last: 5031 });
    expect(visible(44 * 10_000, 900, 44, 3)).toEqual({ first: 3, last: 3 });
    expect(visible(-500, 900, 44, 0)).toEqual({ first: 0, last: 0 });
  });
});

describe('hops', () => {
  const finding = (hop: string, outcome: string) => ({ hop, outcome, found: 'x', tookMilliseconds: 1 });

  test('a walk goes on event by event', () => {
    let walk = step(NOT_WALKED, 'hop', { hop: 'Dns' });
    expect(hopState(walk, 'Dns')).toBe('Running');
    walk = step(walk, 'finding', finding('Dns', 'Passed'));
    expect(hopState(walk, 'Dns')).toBe('Passed');
    expect(hopState(walk, 'Tls')).toBe('Waiting');
    expect(step(walk, 'done', {})).toBe(walk);
  });

  test('what failed counts more than what warns, wherever it is', () => {
    const walk = [finding('Dns', 'Warned'), finding('Tls', 'Failed')].reduce(
      (old, one) => step(old, 'finding', one),
      NOT_WALKED,
    );
    expect(worst(walk)?.hop).toBe('Tls');
    expect(verdict(walk)).toBe('It ends at TLS.');
    expect(verdict(NOT_WALKED)).toContain('works');
  });
});
