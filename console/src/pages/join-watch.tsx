import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, clusterPath, request, stream } from '../api/client';
import type { ErrorBody, FleetCluster, JoinStep } from '../api/types';
import { HEALTH_WORDS, health } from '../logic/health';
import { useNow } from '../state/clock';
import { useCluster } from '../state/cluster';
import { accept } from '../state/fleet';
import { clusterUrl } from '../state/router';
import { Problem } from '../ui/basics';
import { HealthGlyph, Icon } from '../ui/icons';
import { toast } from '../ui/toast';
import type { Wish } from './join';
import { joinRequest } from './join-check';

interface WatchProps {
  wish: Wish;
  onBack: () => void;
  onJoined: () => void;
  onUndone: (cluster: FleetCluster) => void;
}

/** The last step: it is written, object by object, and the cluster comes up. */
export function JoinWatch({ wish, onBack, onJoined, onUndone }: WatchProps) {
  const [steps, setSteps] = useState<JoinStep[]>([]);
  const [joined, setJoined] = useState<FleetCluster | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const begun = useRef(false);

  // It happens once; a second attempt begins at the check.
  useEffect(() => {
    if (begun.current) return;
    begun.current = true;
    let ended = false;
    stream(
      '/api/v1/join',
      (event, data) => {
        if (event === 'step') setSteps((old) => put(old, data as JoinStep));
        if (event === 'joined') {
          ended = true;
          accept(data as FleetCluster);
          setJoined(data as FleetCluster);
          onJoined();
        }
        if (event === 'failed') {
          ended = true;
          const body = data as ErrorBody;
          setError(new ApiError(500, body.BusinessCode, body.Message, body.Remedy));
        }
      },
      { method: 'POST', body: { ...joinRequest(wish), digest: wish.digest } },
    ).then(
      () => {
        if (!ended)
          setError(
            new ApiError(
              0,
              0,
              'The connection broke off while the cluster was being joined.',
              'Look at the fleet: if the cluster is not there, nothing has remained.',
            ),
          );
      },
      (failure: unknown) => setError(failure instanceof ApiError ? failure : new ApiError(0, 0, String(failure))),
    );
  }, []);

  return (
    <div class="stack">
      <section class="panel is-list" aria-label="What is being done">
        <ol class="join-steps">
          {steps.map((one) => (
            <li key={one.step} class={`is-${one.outcome}`}>
              <span class="join-sign" aria-hidden="true">
                {one.outcome === 'Passed' && <Icon name="check" />}
                {one.outcome === 'Failed' && <Icon name="close" />}
              </span>
              <span>{one.step}</span>
              <span class="muted">{one.outcome === 'Started' ? '…' : one.found}</span>
            </li>
          ))}
        </ol>
        {joined && <ComesUp name={joined.name} />}
      </section>
      {error && <Problem error={error} />}
      {error && (
        <div class="actions">
          <button type="button" class="button primary" onClick={onBack}>
            Check again
          </button>
          <a class="button" href="/">
            Go to the fleet
          </a>
        </div>
      )}
      {joined && <Joined cluster={joined} onUndone={onUndone} />}
    </div>
  );
}

function put(steps: JoinStep[], next: JoinStep): JoinStep[] {
  const known = steps.some((one) => one.step === next.step);
  return known ? steps.map((one) => (one.step === next.step ? next : one)) : [...steps, next];
}

function ComesUp({ name }: { name: string }) {
  const cluster = useCluster(name);
  const now = useNow();
  if (!cluster) return null;
  const state = health(cluster, now);
  return (
    <p class={`comes-up is-${state}`} role="status" data-health={state}>
      <HealthGlyph health={state} />
      <span>
        <b>{cluster.name}</b>{' '}
        {state === 'unknown'
          ? 'is joined; its first probe is on the way…'
          : `is joined and ${HEALTH_WORDS[state].toLowerCase()}.`}
      </span>
      {cluster.version && <span class="muted">Kubernetes {cluster.version}</span>}
      {state !== 'unknown' && cluster.reason && <span class="why">{cluster.reason}</span>}
    </p>
  );
}

function Joined({ cluster, onUndone }: { cluster: FleetCluster; onUndone: (cluster: FleetCluster) => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const undo = async () => {
    setBusy(true);
    try {
      await request(clusterPath('clusters', cluster.name), { method: 'DELETE' });
      toast(`${cluster.name} is as if it had never been joined.`);
      onUndone(cluster);
    } catch (failure) {
      setError(failure instanceof ApiError ? failure : new ApiError(0, 0, String(failure)));
      setBusy(false);
    }
  };
  return (
    <>
      {error && <Problem error={error} />}
      <div class="actions">
        <a class="button primary" href={clusterUrl(cluster.name)}>
          Open {cluster.name}
        </a>
        <a class="button" href="/">
          Go to the fleet
        </a>
        <button type="button" class="button" onClick={() => void undo()} disabled={busy}>
          <Icon name="undo" />
          {busy ? 'Undoing…' : 'Undo'}
        </button>
      </div>
    </>
  );
}
