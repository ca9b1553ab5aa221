import { clusterPath } from '../api/client';
import type { Certificate, Certificates, FleetCluster } from '../api/types';
import { absolute, duration } from '../logic/format';
import { EXPIRES_SOON } from '../logic/health';
import { useNow } from '../state/clock';
import { useLoad } from '../state/load';
import { Loading, Panel, Problem } from '../ui/basics';
import { Icon } from '../ui/icons';

const VERIFICATION = {
  Bundle: 'verified with the CA in the Secret',
  SystemRoots: 'verified with the system’s roots',
  Insecure: 'not verified: the cluster is marked insecure',
};

export function CertificatesPanel({ cluster }: { cluster: FleetCluster }) {
  // A chain that was mended shows when the cluster's state changes.
  const { value, error, reload } = useLoad<Certificates>(
    `${clusterPath('fleet', cluster.name, 'certificates')}?at=${cluster.status}`,
  );
  return (
    <Panel title="Certificates">
      {error && <Problem error={error} onRetry={reload} />}
      {!value && !error && <Loading />}
      {value && (
        <>
          <h3>Served by the member</h3>
          {value.problem && <p class="notice-line is-bad-text">{value.problem}</p>}
          {value.served.length === 0 ? (
            <p class="hint">It has not served any yet.</p>
          ) : (
            <ol class="chain">
              {value.served.map((one) => (
                <ChainLink key={one.sha256 + one.subject} certificate={one} />
              ))}
            </ol>
          )}
          <p class={value.verification === 'Insecure' ? 'chain-note is-warn-text' : 'chain-note'}>
            <Icon name={value.verified ? 'shield' : 'warning'} />
            {value.verified || value.verification === 'Insecure' ? VERIFICATION[value.verification] : 'not accepted'}
          </p>
          {value.client && (
            <>
              <h3>Shown by the gateway</h3>
              <ol class="chain">
                <ChainLink certificate={value.client} />
              </ol>
            </>
          )}
        </>
      )}
    </Panel>
  );
}

function ChainLink({ certificate }: { certificate: Certificate }) {
  const now = useNow();
  const from = Date.parse(certificate.notBefore);
  const until = Date.parse(certificate.notAfter);
  const left = until - now;
  const tone = left <= 0 ? 'is-bad' : left < EXPIRES_SOON * 4 ? 'is-warn' : 'is-ok';
  const spent = Math.min(1, Math.max(0, (now - from) / (until - from)));
  return (
    <li class={`link ${tone}`}>
      <details>
        <summary>
          <span class="link-subject">{certificate.subject}</span>
          <span class="link-left">{left <= 0 ? `ended ${duration(left)} ago` : `${duration(left)} left`}</span>
        </summary>
        <dl class="facts is-small">
          <div>
            <dt>Issuer</dt>
            <dd>{certificate.issuer}</dd>
          </div>
          {certificate.subjectAltNames.length > 0 && (
            <div>
              <dt>Names</dt>
              <dd>{certificate.subjectAltNames.join(', ')}</dd>
            </div>
          )}
          <div>
            <dt>From</dt>
            <dd>{absolute(certificate.notBefore)}</dd>
          </div>
          <div>
            <dt>Until</dt>
            <dd>{absolute(certificate.notAfter)}</dd>
          </div>
          <div>
            <dt>Key</dt>
            <dd>{certificate.publicKey}</dd>
          </div>
          <div>
            <dt>SHA-256</dt>
            <dd class="mono">{certificate.sha256}</dd>
          </div>
        </dl>
      </details>
      <span class="meter" aria-hidden="true">
        <span style={{ width: `${Math.round(spent * 100)}%` }} />
      </span>
    </li>
  );
}
