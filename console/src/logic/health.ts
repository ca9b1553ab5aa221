import type { FleetCluster, Status } from '../api/types';

/** What a cluster looks like at a glance. `warned`: it works, and something should be done all the same. */
export type Health = 'unhealthy' | 'warned' | 'unknown' | 'healthy';

export const HEALTHS: readonly Health[] = ['unhealthy', 'warned', 'unknown', 'healthy'];

export const HEALTH_WORDS: Record<Health, string> = {
  unhealthy: 'Unhealthy',
  warned: 'Warning',
  unknown: 'Unknown',
  healthy: 'Healthy',
};

const DAY = 86_400_000;
/** Within this time a credential that nobody renews is a warning. */
export const EXPIRES_SOON = 7 * DAY;

/** When a credential that nobody renews ends, in milliseconds since 1970; `null` if that is nobody's concern. */
export function expiry(cluster: FleetCluster): number | null {
  let ends = EXPIRIES.get(cluster);
  if (ends === undefined) {
    ends = readExpiry(cluster);
    EXPIRIES.set(cluster, ends);
  }
  return ends;
}

// A cluster that changes is a new object, and reading ten thousand dates takes longer than a frame.
const EXPIRIES = new WeakMap<FleetCluster, number | null>();

function readExpiry(cluster: FleetCluster): number | null {
  if (cluster.credential.renewal !== 'None' || !cluster.credential.expires) return null;
  const time = Date.parse(cluster.credential.expires);
  return Number.isNaN(time) ? null : time;
}

const STATUS: Record<Status, Health> = { Healthy: 'healthy', Unhealthy: 'unhealthy', Unknown: 'unknown' };

export function health(cluster: FleetCluster, now: number): Health {
  const shown = STATUS[cluster.status] ?? 'unknown';
  if (shown !== 'healthy') return shown;
  const ends = expiry(cluster);
  return cluster.reason || (ends !== null && ends - now < EXPIRES_SOON) ? 'warned' : 'healthy';
}

/** Why a cluster is not simply healthy, in words; empty if it is. */
export function explanation(cluster: FleetCluster, now: number): string {
  if (cluster.reason) return cluster.reason;
  const ends = expiry(cluster);
  if (ends === null || ends - now >= EXPIRES_SOON) return '';
  if (ends <= now) return 'the credential has expired, and nobody renews it';
  const days = Math.floor((ends - now) / DAY);
  return `the credential ends ${days < 1 ? 'within a day' : days === 1 ? 'in 1 day' : `in ${days} days`}, and nobody renews it`;
}

/** The newest sample; `null` if the newest probe failed or there is none. */
export function latency(cluster: FleetCluster): number | null {
  return cluster.latency.at(-1) ?? null;
}

export type HealthCounts = Record<Health, number>;

export function count(clusters: Iterable<FleetCluster>, now: number): HealthCounts {
  const counts: HealthCounts = { unhealthy: 0, warned: 0, unknown: 0, healthy: 0 };
  for (const cluster of clusters) counts[health(cluster, now)] += 1;
  return counts;
}
