import { useEffect, useState } from 'preact/hooks';
import { ApiError, clusterPath, request } from '../api/client';
import type { FleetCluster, Kubeconfig, KubeconfigRoute } from '../api/types';
import { useSession } from '../state/permissions';
import { Code, Loading, Problem, Time } from '../ui/basics';
import { Dialog } from '../ui/dialog';
import { Icon } from '../ui/icons';

const ROUTES: Record<KubeconfigRoute, { title: string; words: string }> = {
  hub: { title: 'Through the hub', words: 'Works wherever the hub is reached. The hub’s audit log has every request.' },
  direct: { title: 'Direct', words: 'To the gateway’s own address: quicker, and it spares the hub’s API server.' },
};

/** Gives a kubeconfig for one cluster, to copy or to save. */
export function KubectlDialog({ cluster, onClose }: { cluster: FleetCluster; onClose: () => void }) {
  const routes = useSession()?.server.routes ?? ['hub'];
  const [route, setRoute] = useState<KubeconfigRoute>(routes[0] ?? 'hub');
  const [answer, setAnswer] = useState<Kubeconfig | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    setError(null);
    request<Kubeconfig>(clusterPath('fleet', cluster.name, 'kubeconfig'), {
      method: 'POST',
      body: { route },
      signal: stop.signal,
    }).then(setAnswer, (failure: unknown) => {
      if (!stop.signal.aborted) setError(failure instanceof ApiError ? failure : new ApiError(0, 0, String(failure)));
    });
    return () => stop.abort();
  }, [cluster.name, route]);
  return (
    <Dialog title={`kubectl for ${cluster.name}`} onClose={onClose} wide>
      <div class="stack">
        <fieldset class="choices">
          <legend class="sr-only">Way</legend>
          {routes.map((one) => (
            <label class="choice" key={one}>
              <input type="radio" name="route" checked={one === route} onChange={() => setRoute(one)} />
              <span>
                <b>{ROUTES[one].title}</b>
                <span class="muted">{ROUTES[one].words}</span>
              </span>
            </label>
          ))}
        </fieldset>
        {error && <Problem error={error} />}
        {!answer && !error && <Loading lines={6} />}
        {answer && <Answer answer={answer} cluster={cluster.name} />}
      </div>
    </Dialog>
  );
}

function Answer({ answer, cluster }: { answer: Kubeconfig; cluster: string }) {
  const save = () => {
    const url = URL.createObjectURL(new Blob([answer.kubeconfig], { type: 'application/yaml' }));
    const link = document.createElement('a');
    link.href = url;
    link.download = answer.fileName;
    link.click();
    URL.revokeObjectURL(url);
  };
  return (
    <>
      <Code text={answer.kubeconfig} label={`kubeconfig for ${cluster}`} />
      <div class="actions">
        <button type="button" class="button" onClick={save}>
          <Icon name="download" />
          Save as {answer.fileName}
        </button>
      </div>
      <p class="hint">
        {answer.credential === 'None' && 'There is no credential in it: add the user that you use at the hub. '}
        {answer.credential === 'ClientCertificate' && (
          <>
            It holds a client certificate that was made for you and ends <Time at={answer.expires} />. Keep the file to
            yourself.{' '}
          </>
        )}
        {answer.credential === 'ExecPlugin' && 'kubectl asks you to sign in; there is no secret in the file. '}
        {answer.notes.join(' ')}
      </p>
      <Code text={`kubectl --kubeconfig ${answer.fileName} get pods`} label="Command that uses it" />
    </>
  );
}
