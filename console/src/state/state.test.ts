import { describe, expect, test, vi } from 'vitest';
import type { FleetCluster } from '../api/types';

vi.stubGlobal('window', { location: { pathname: '/', search: '' }, addEventListener: () => {} });
vi.stubGlobal('document', { documentElement: { dataset: {} }, addEventListener: () => {} });
const { apply } = await import('./fleet');
const { clusterUrl, route } = await import('./router');
const { returnPath } = await import('./session');

describe('addresses', () => {
  test('every page has one', () => {
    expect(route('/')).toEqual({ page: 'fleet' });
    expect(route('/join')).toEqual({ page: 'join' });
    expect(route(clusterUrl('a.b'))).toEqual({ page: 'cluster', name: 'a.b' });
    expect(route(clusterUrl('a.b', 'doctor'))).toEqual({ page: 'doctor', name: 'a.b' });
    for (const bad of ['/x', '/clusters/', '/clusters/a/b', '/clusters/%E0%A4%A'])
      expect(route(bad)).toEqual({ page: 'unknown' });
  });

  test('signing in leads nowhere but into the console', () => {
    const to = (wanted: string) => returnPath(new URLSearchParams({ return: wanted }));
    expect(to('/clusters/a?q=1')).toBe('/clusters/a?q=1');
    for (const bad of [
      '//evil.example',
      '/\\evil.example',
      'https://evil.example',
      'javascript:alert(1)',
      '/login?return=/',
      '',
    ]) {
      expect(to(bad), bad).toBe('/');
    }
    expect(returnPath(new URLSearchParams())).toBe('/');
  });
});

describe('events of the fleet', () => {
  const one = { name: 'a', latency: [1] } as unknown as FleetCluster;
  const before = new Map([['a', one]]);

  test('changed, removed and measured make a new map', () => {
    const changed = apply(before, [
      {
        event: 'changed',
        data: {
          clusters: [
            { ...one, alias: 'A' },
            { ...one, name: 'b' },
          ],
        },
      },
    ]);
    expect([...changed.keys()]).toEqual(['a', 'b']);
    expect(changed.get('a')?.alias).toBe('A');
    expect(apply(before, [{ event: 'removed', data: { names: ['a', 'x'] } }]).size).toBe(0);
    const measured = apply(before, [{ event: 'measured', data: { samples: { a: null, x: 1 } } }]);
    expect(measured.get('a')?.latency).toEqual([1, null]);
    expect(before.get('a')).toBe(one);
    expect(one.latency).toEqual([1]);
  });

  test('events are put in in their order', () => {
    const removed = { event: 'removed', data: { names: ['a'] } };
    const changed = { event: 'changed', data: { clusters: [one] } };
    expect(apply(before, [removed, changed]).size).toBe(1);
    expect(apply(before, [changed, removed]).size).toBe(0);
  });

  test('samples are kept up to what is drawn', () => {
    const events = Array.from({ length: 40 }, (_, turn) => ({ event: 'measured', data: { samples: { a: turn } } }));
    const { latency } = apply(before, events).get('a') ?? one;
    expect(latency).toHaveLength(24);
    expect(latency.at(-1)).toBe(39);
  });

  test('what is not known changes nothing', () => {
    expect(apply(before, [{ event: 'later', data: {} }])).toEqual(before);
  });
});
