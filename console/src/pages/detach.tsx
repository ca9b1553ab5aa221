import { useState } from 'preact/hooks';
import { ApiError, clusterPath, request } from '../api/client';
import type { DetachPlan, FleetCluster, References } from '../api/types';
import { plural } from '../logic/format';
import { useLoad } from '../state/load';
import { go } from '../state/router';
import { Loading, Problem } from '../ui/basics';
import { Changes } from '../ui/changes';
import { Dialog } from '../ui/dialog';
import { toast } from '../ui/toast';

/** Asks before a cluster is detached: shows what refers to it, what is deleted, and wants its name typed. */
export function DetachDialog({ cluster, onClose }: { cluster: FleetCluster; onClose: () => void }) {
  const { value, error, reload } = useLoad<DetachPlan>(clusterPath('fleet', cluster.name, 'references'));
  const [typed, setTyped] = useState('');
  const [force, setForce] = useState(false);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const needsForce = value?.needsForce ?? false;
  const ready = value !== null && typed === cluster.name && (!needsForce || force);

  const detach = async (event: Event) => {
    event.preventDefault();
    if (!ready) return;
    setBusy(true);
    setFailure(null);
    try {
      const path = clusterPath('clusters', cluster.name) + (force ? '?force=true' : '');
      await request(path, { method: 'DELETE', ifMatch: cluster.resourceVersion });
      go('/');
      toast(`${cluster.name} is detached.`);
    } catch (problem) {
      setFailure(problem instanceof ApiError ? problem : new ApiError(0, 0, String(problem)));
      setBusy(false);
    }
  };

  return (
    <Dialog title={`Detach ${cluster.name}`} onClose={onClose}>
      {error && <Problem error={error} onRetry={reload} />}
      {!value && !error && <Loading />}
      {value && (
        <form class="stack" onSubmit={detach}>
          <p>
            The gateway forgets the cluster. What runs in it goes on running; nobody reaches it through the gateway any
            more.
          </p>
          <ReferenceList references={value.references} />
          <div>
            <h3>What a detach does</h3>
            <Changes changes={value.plan.changes} />
            {value.plan.notes?.map((note) => (
              <p class="hint" key={note}>
                {note}
              </p>
            ))}
          </div>
          {needsForce && (
            <div class="notice is-warned">
              <div class="notice-text">
                <p class="notice-found">
                  {value.reachable
                    ? 'Something refers to the cluster that a detach would break.'
                    : 'The member does not answer, so what was made in it cannot be deleted. What stays is listed above; the hub is cleaned all the same.'}
                </p>
                <label class="check">
                  <input type="checkbox" checked={force} onChange={(event) => setForce(event.currentTarget.checked)} />
                  Detach all the same
                </label>
              </div>
            </div>
          )}
          <label class="field">
            <span>
              To confirm, type <code>{cluster.name}</code>
            </span>
            <input
              type="text"
              value={typed}
              autocomplete="off"
              spellcheck={false}
              onInput={(event) => setTyped(event.currentTarget.value)}
            />
          </label>
          {failure && <Problem error={failure} />}
          <div class="actions">
            <button type="submit" class="button danger" disabled={!ready || busy}>
              {busy ? 'Detaching…' : 'Detach'}
            </button>
            <button type="button" class="button" onClick={onClose}>
              Keep it
            </button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

function ReferenceList({ references }: { references: References }) {
  const { applications, trackers, notes } = references;
  const number = applications.length + trackers.length;
  return (
    <div>
      <h3>
        {number
          ? `${plural(number, 'object')} still ${number === 1 ? 'refers' : 'refer'} to it`
          : 'Nothing refers to it'}
      </h3>
      {number > 0 && (
        <ul class="references">
          {applications.map((name) => (
            <li key={`application ${name}`}>
              <span>
                <b>Application</b> <span class="mono">{name}</span>
              </span>
              <span class="muted">
                names it in a policy; <span class="is-warn-text">stays, and will not find the cluster</span>
              </span>
            </li>
          ))}
          {trackers.map(({ name, resources }) => (
            <li key={`tracker ${name}`}>
              <span>
                <b>ResourceTracker</b> <span class="mono">{name}</span>
              </span>
              <span class="muted">holds {plural(resources, 'resource')} in it, which are taken out</span>
            </li>
          ))}
        </ul>
      )}
      {notes?.map((note) => (
        <p class="hint" key={note}>
          {note}
        </p>
      ))}
    </div>
  );
}
