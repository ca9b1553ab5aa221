import { request } from '../api/client';
import { Live, type LiveState } from '../api/live';
import type { Fleet, FleetChanged, FleetCluster, FleetMeasured, FleetRemoved } from '../api/types';
import { Store } from './store';

export interface FleetState {
  /** The clusters by name; the map is a new one after each change. */
  clusters: ReadonlyMap<string, FleetCluster>;
  /** Whether they have been read once. */
  loaded: boolean;
}

/** As many samples as are drawn. */
const SAMPLES = 24;

export const fleet = new Store<FleetState>({ clusters: new Map(), loaded: false });
export const connection = new Store<LiveState | null>(null);

/** Puts an event into a map of clusters. The clusters themselves are never changed: one that differs is a new object. */
function put(clusters: Map<string, FleetCluster>, event: string, data: unknown): void {
  switch (event) {
    case 'changed':
      for (const cluster of (data as FleetChanged).clusters) clusters.set(cluster.name, cluster);
      break;
    case 'removed':
      for (const name of (data as FleetRemoved).names) clusters.delete(name);
      break;
    case 'measured':
      for (const [name, sample] of Object.entries((data as FleetMeasured).samples)) {
        const cluster = clusters.get(name);
        if (cluster) clusters.set(name, { ...cluster, latency: [...cluster.latency, sample].slice(-SAMPLES) });
      }
      break;
  }
}

export interface FleetEvent {
  event: string;
  data: unknown;
}

/** What events make of the clusters: a new map. */
export function apply(
  clusters: ReadonlyMap<string, FleetCluster>,
  events: readonly FleetEvent[],
): Map<string, FleetCluster> {
  const next = new Map(clusters);
  for (const { event, data } of events) put(next, event, data);
  return next;
}

let live: Live | null = null;
let generation = '';
/** Set when the next connection must begin with a list. */
let listAgain = true;
/** How long changes are collected: what comes together is drawn together, and a storm does not make the page stutter. */
const TOGETHER = 200;
let waiting: FleetEvent[] = [];

async function prepare(signal: AbortSignal): Promise<string> {
  if (listAgain) {
    const list = await request<Fleet>('/api/v1/fleet', { signal });
    generation = list.generation;
    listAgain = false;
    waiting = [];
    fleet.set({ clusters: new Map(list.clusters.map((cluster) => [cluster.name, cluster])), loaded: true });
  }
  return `/api/v1/events?since=${encodeURIComponent(generation)}`;
}

function onEvent(event: string, data: unknown): void {
  if (event === 'gone') {
    listAgain = true;
    live?.again();
    return;
  }
  const next = (data as { generation?: string }).generation;
  if (next) generation = next;
  if (event === 'alive') return;
  if (waiting.push({ event, data }) === 1) setTimeout(flush, TOGETHER);
}

function flush(): void {
  const clusters = apply(fleet.get().clusters, waiting);
  waiting = [];
  fleet.set({ clusters, loaded: true });
}

/** Begins to follow the fleet. */
export function startFleet(): void {
  listAgain = true;
  live ??= new Live(prepare, onEvent, (state) => connection.set(state));
}

/** Forgets everything: somebody has signed out. */
export function stopFleet(): void {
  live?.stop();
  live = null;
  connection.set(null);
  fleet.set({ clusters: new Map(), loaded: false });
}

/** Tries to connect now. */
export function retryNow(): void {
  live?.again();
}

/** Takes in what a request has answered, before its event comes. */
export function accept(cluster: FleetCluster): void {
  fleet.set({ ...fleet.get(), clusters: new Map(fleet.get().clusters).set(cluster.name, cluster) });
}
