import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, clusterPath, stream } from '../api/client';
import type { FleetCluster } from '../api/types';
import { NOT_WALKED, step, verdict, type Walk, worst } from '../logic/hops';
import { useCluster } from '../state/cluster';
import { Code, Loading, Problem, useHeading } from '../ui/basics';
import { HopList, HopMap } from '../ui/hops';
import { Icon } from '../ui/icons';
import { Crumbs, NoCluster } from './cluster';

export function DoctorPage({ name }: { name: string }) {
  const cluster = useCluster(name);
  if (cluster === undefined) return <Loading lines={8} />;
  if (cluster === null) return <NoCluster name={name} />;
  return <Doctor cluster={cluster} />;
}

/** Walks through a cluster's hops when the page opens, when somebody asks, and when the cluster's state changes. */
function Doctor({ cluster }: { cluster: FleetCluster }) {
  const heading = useHeading(`Doctor, ${cluster.name}`);
  const [walk, setWalk] = useState<Walk>(NOT_WALKED);
  const [state, setState] = useState<'running' | 'done' | ApiError>('running');
  const current = useRef<AbortController | null>(null);

  const run = useCallback(() => {
    current.current?.abort();
    const stop = new AbortController();
    current.current = stop;
    setWalk(NOT_WALKED);
    setState('running');
    let done = false;
    stream(
      clusterPath('fleet', cluster.name, 'diagnosis'),
      (event, data) => {
        if (event === 'done') done = true;
        setWalk((old) => step(old, event, data));
      },
      { signal: stop.signal },
    ).then(
      () => setState(done ? 'done' : new ApiError(0, 0, 'The diagnosis broke off.', 'Run it again.')),
      (error: unknown) => {
        if (!stop.signal.aborted) setState(error instanceof ApiError ? error : new ApiError(0, 0, String(error)));
      },
    );
  }, [cluster.name]);

  // A cluster that breaks or comes back is looked at again.
  useEffect(() => {
    run();
    return () => current.current?.abort();
  }, [run, cluster.status]);

  const bad = worst(walk);
  return (
    <>
      <Crumbs cluster={cluster.name} />
      <div class="page-head">
        <h1 ref={heading} tabIndex={-1}>
          Doctor
        </h1>
        <span class="page-count">{cluster.alias || cluster.name}, seen from the gateway</span>
        <button type="button" class="button" onClick={run} disabled={state === 'running'}>
          <Icon name="refresh" />
          {state === 'running' ? 'Looking…' : 'Look again'}
        </button>
      </div>
      <div class="panel is-map">
        <HopMap walk={walk} from="Gateway" to={cluster.name} />
        <p
          class={`verdict ${state === 'done' ? (bad ? `is-${bad.outcome}` : 'is-Passed') : ''}`}
          role="status"
          data-verdict={state === 'done' ? (bad?.outcome ?? 'Passed') : 'running'}
        >
          {state === 'done' ? verdict(walk) : state === 'running' ? 'Looking at each hop in its turn…' : ''}
        </p>
      </div>
      {state instanceof ApiError && <Problem error={state} onRetry={run} />}
      <div class="panel is-list">
        <HopList walk={walk} />
      </div>
      <p class="hint">The same from your own machine, where the way to the cluster may be another:</p>
      <Code text={`cluster-gateway doctor ${cluster.name}`} label="Command" />
    </>
  );
}
