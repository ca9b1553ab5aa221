import { useState } from 'preact/hooks';
import type { FleetCluster } from '../api/types';
import { explanation, HEALTH_WORDS, health } from '../logic/health';
import { useNow } from '../state/clock';
import { useCluster } from '../state/cluster';
import { usePermissions, useSession } from '../state/permissions';
import { clusterUrl } from '../state/router';
import { Age, Empty, Loading, Panel, Time, useHeading } from '../ui/basics';
import { AliasEditor, LabelsEditor } from '../ui/edit';
import { HealthGlyph, Icon } from '../ui/icons';
import { LatencyChart } from '../ui/sparkline';
import { CertificatesPanel } from './cluster-certificates';
import { CapacityPanels } from './cluster-inventory';
import { RequestsPanel } from './cluster-requests';
import { DetachDialog } from './detach';
import { KubectlDialog } from './kubectl';

export function ClusterPage({ name }: { name: string }) {
  const cluster = useCluster(name);
  if (cluster === undefined) return <Loading lines={8} />;
  if (cluster === null) return <NoCluster name={name} />;
  return <Cluster cluster={cluster} />;
}

export function NoCluster({ name }: { name: string }) {
  const heading = useHeading(name);
  return (
    <>
      <h1 ref={heading} tabIndex={-1} class="sr-only">
        {name}
      </h1>
      <Empty title={`There is no cluster named ${name}`} icon="unlink">
        <p>It may have been detached, or renamed, or it never was here.</p>
        <a class="button primary" href="/">
          Go to the fleet
        </a>
      </Empty>
    </>
  );
}

function Cluster({ cluster }: { cluster: FleetCluster }) {
  const heading = useHeading(cluster.name);
  const permissions = usePermissions();
  const now = useNow();
  const [dialog, setDialog] = useState<'kubectl' | 'detach' | null>(null);
  const state = health(cluster, now);
  const why = explanation(cluster, now);
  return (
    <>
      <Crumbs />
      <header class="cluster-head">
        <div class="cluster-title">
          <HealthGlyph health={state} />
          <h1 ref={heading} tabIndex={-1}>
            {cluster.name}
          </h1>
          <AliasEditor cluster={cluster} allowed={permissions.update} />
        </div>
        <div class="actions">
          {permissions.kubeconfig && (
            <button type="button" class="button" onClick={() => setDialog('kubectl')}>
              <Icon name="terminal" />
              kubectl
            </button>
          )}
          {permissions.diagnose && (
            <a class="button" href={clusterUrl(cluster.name, 'doctor')}>
              <Icon name="stethoscope" />
              Doctor
            </a>
          )}
          {permissions.detach && (
            <button type="button" class="button" onClick={() => setDialog('detach')}>
              <Icon name="unlink" />
              Detach
            </button>
          )}
        </div>
        <LabelsEditor cluster={cluster} allowed={permissions.update} />
      </header>

      {/* Always there, so that nothing jumps when a cluster breaks and comes back. */}
      <div class={`notice is-${state}`} role="status" data-health={state}>
        <HealthGlyph health={state} />
        <div class="notice-text">
          <p class="notice-found">
            <b>{HEALTH_WORDS[state]}</b>
            {state !== 'warned' && cluster.since && (
              <span class="muted">
                {' '}
                <For since={cluster.since} />
              </span>
            )}
            {why && <span class="why-full">{why}</span>}
          </p>
        </div>
        {state !== 'healthy' && permissions.diagnose && (
          <a class="button small" href={clusterUrl(cluster.name, 'doctor')}>
            Find out why
          </a>
        )}
      </div>

      <div class="columns">
        <div class="column">
          <Panel title="Latency" aside={<span class="muted">of the probes, from the gateway</span>}>
            <LatencyChart samples={cluster.latency} />
          </Panel>
          <CapacityPanels name={cluster.name} status={cluster.status} />
          <RequestsPanel name={cluster.name} />
        </div>
        <div class="column is-side">
          <Facts cluster={cluster} />
          <CertificatesPanel cluster={cluster} />
        </div>
      </div>
      {dialog === 'kubectl' && <KubectlDialog cluster={cluster} onClose={() => setDialog(null)} />}
      {dialog === 'detach' && <DetachDialog cluster={cluster} onClose={() => setDialog(null)} />}
    </>
  );
}

/** `for 3 h`, or that it has only just begun. */
function For({ since }: { since: string }) {
  const now = useNow();
  if (now - Date.parse(since) < 10_000) return <>as of just now</>;
  return (
    <>
      for <Age since={since} />
    </>
  );
}

export function Crumbs({ cluster }: { cluster?: string }) {
  return (
    <nav class="crumbs" aria-label="Where this page is">
      <a href="/">Fleet</a>
      {cluster && (
        <>
          <Icon name="right" />
          <a href={clusterUrl(cluster)}>{cluster}</a>
        </>
      )}
    </nav>
  );
}

const RENEWAL = {
  Gateway: 'renewed by the gateway',
  Program: 'made anew by a program',
  None: 'renewed by nobody',
};

const CREDENTIAL = {
  ServiceAccountToken: 'Service account token',
  X509Certificate: 'Client certificate',
  Dynamic: 'From a program',
};

function Facts({ cluster }: { cluster: FleetCluster }) {
  const session = useSession();
  const namespace = session?.server.secretNamespace;
  return (
    <Panel title="Facts">
      <dl class="facts">
        <div>
          <dt>Kubernetes</dt>
          <dd>{cluster.version || 'not known yet'}</dd>
        </div>
        <div>
          <dt>Endpoint</dt>
          <dd class="mono">
            {cluster.endpointType === 'ClusterProxy' ? 'through the konnectivity tunnel' : cluster.apiServerURL}
          </dd>
        </div>
        <div>
          <dt>Credential</dt>
          <dd>
            {cluster.credential.type === null ? 'Not known' : CREDENTIAL[cluster.credential.type]},{' '}
            {RENEWAL[cluster.credential.renewal]}
          </dd>
        </div>
        <div>
          <dt>Valid until</dt>
          <dd>{cluster.credential.expires ? <Time at={cluster.credential.expires} /> : 'it has no end'}</dd>
        </div>
        <div>
          <dt>Joined</dt>
          <dd>
            <Time at={cluster.createTime} />
            {cluster.engine === 'ocm' && ', by Open Cluster Management'}
          </dd>
        </div>
        <div>
          <dt>Kept in</dt>
          <dd class="mono">{namespace ? `Secret ${namespace}/${cluster.name}` : `${cluster.name}.yaml`}</dd>
        </div>
        {cluster.description && (
          <div>
            <dt>Description</dt>
            <dd>{cluster.description}</dd>
          </div>
        )}
      </dl>
    </Panel>
  );
}
