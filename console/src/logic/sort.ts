import type { FleetCluster } from '../api/types';
import { expiry, HEALTHS, health, latency } from './health';

export type SortKey = 'status' | 'name' | 'latency' | 'version' | 'expires';
export interface Sort {
  key: SortKey;
  descending: boolean;
}

export const DEFAULT_SORT: Sort = { key: 'status', descending: false };

const KEYS: readonly SortKey[] = ['status', 'name', 'latency', 'version', 'expires'];

/** Reads a sort from a URL: `latency` or `-latency`; anything else is the default. */
export function parseSort(text: string | null): Sort {
  const descending = text?.startsWith('-') ?? false;
  const key = KEYS.find((one) => one === text?.replace(/^-/, ''));
  return key ? { key, descending } : DEFAULT_SORT;
}

export function writeSort(sort: Sort): string {
  return (sort.descending ? '-' : '') + sort.key;
}

// Names whose numbers are padded, so that comparing characters compares numbers: an Intl.Collator takes a hundred times as long.
const PADDED = new Map<string, string>();
const MOST_PADDED = 50_000;

function padded(name: string): string {
  let key = PADDED.get(name);
  if (key === undefined) {
    key = name.replace(/\d+/g, (digits) => digits.padStart(12, '0'));
    if (PADDED.size >= MOST_PADDED) PADDED.clear();
    PADDED.set(name, key);
  }
  return key;
}

/** A sorted copy. What has no value comes last in both directions; equal ones are in the order of their names. */
export function sorted(clusters: FleetCluster[], sort: Sort, now: number): FleetCluster[] {
  const decorated = clusters.map((cluster) => ({
    cluster,
    name: padded(cluster.name),
    value: value(cluster, sort.key, now),
  }));
  const direction = sort.descending ? -1 : 1;
  decorated.sort((a, b) => {
    if (a.value !== b.value) {
      if (a.value === null) return 1;
      if (b.value === null) return -1;
      return a.value < b.value ? -direction : direction;
    }
    if (a.name === b.name) return 0;
    const byName = a.name < b.name ? -1 : 1;
    return sort.key === 'name' ? byName * direction : byName;
  });
  return decorated.map(({ cluster }) => cluster);
}

function value(cluster: FleetCluster, key: SortKey, now: number): number | null {
  switch (key) {
    case 'status':
      return HEALTHS.indexOf(health(cluster, now));
    case 'latency':
      return latency(cluster);
    case 'version':
      return versionNumber(cluster.version);
    case 'expires':
      return expiry(cluster);
    case 'name':
      return 0;
  }
}

/** A number that orders versions of Kubernetes: v1.9.3 comes before v1.32.4. */
export function versionNumber(version: string): number | null {
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)(?:\.(\d+))?/.exec(version) ?? [];
  return major && minor ? Number(major) * 1e8 + Number(minor) * 1e4 + Number(patch ?? 0) : null;
}
