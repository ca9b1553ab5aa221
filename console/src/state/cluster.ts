import { useCallback, useEffect, useState } from 'preact/hooks';
import { ApiError, clusterPath, request } from '../api/client';
import { Live } from '../api/live';
import type { FleetCluster, RecentRequest, RecentRequests } from '../api/types';
import { accept, fleet } from './fleet';
import { useStore } from './store';

/** A cluster of the fleet, live; `undefined` while nothing is known, `null` if there is none of this name. */
export function useCluster(name: string): FleetCluster | null | undefined {
  const { clusters, loaded } = useStore(fleet);
  return clusters.get(name) ?? (loaded ? null : undefined);
}

/** What people may change of a cluster. */
export type Change = Partial<Pick<FleetCluster, 'alias' | 'labels' | 'description' | 'dashboardURL'>>;

/** Changes a cluster, if it is still as we have seen it; throws an `ApiError`. */
export async function change(cluster: FleetCluster, part: Change): Promise<void> {
  const { name, alias, description, icon, labels, dashboardURL, resourceVersion } = cluster;
  const body = { name, alias, description, icon, labels, dashboardURL, ...part };
  try {
    await request(clusterPath('clusters', name), { method: 'PUT', body, ifMatch: resourceVersion });
  } catch (error) {
    // Somebody was quicker: what they have made of it is shown, and the next attempt builds on that.
    if (error instanceof ApiError && error.status === 412) await look(name);
    throw error;
  }
  await look(name);
}

async function look(name: string): Promise<void> {
  accept(await request<FleetCluster>(clusterPath('fleet', name)));
}

/** How many requests are kept on the page. */
const KEPT = 200;

/** Recent requests to a cluster, the newest first; they come in by themselves. */
export function useRequests(name: string): { requests: RecentRequest[] | null; failed: string } {
  const [requests, setRequests] = useState<RecentRequest[] | null>(null);
  const [failed, setFailed] = useState('');
  const add = useCallback((one: RecentRequest) => {
    setRequests((old) => [one, ...(old ?? []).filter((other) => other.id !== one.id)].slice(0, KEPT));
  }, []);
  useEffect(() => {
    const live = new Live(
      async (signal) => {
        const answer = await request<RecentRequests>(clusterPath('fleet', name, 'requests'), { signal });
        setRequests(answer.requests);
        return clusterPath('fleet', name, 'events');
      },
      (event, data) => {
        if (event === 'request') add(data as RecentRequest);
      },
      (state) => setFailed(state.connected ? '' : state.message),
    );
    return () => live.stop();
  }, [name, add]);
  return { requests, failed };
}
