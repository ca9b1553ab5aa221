import { usePermissions } from '../state/permissions';
import { Code } from '../ui/basics';
import { Icon } from '../ui/icons';

/** What a fleet without clusters shows: what a cluster is here, and the ways to get one. */
export function FleetEmpty() {
  const permissions = usePermissions();
  return (
    <div class="first">
      <div class="first-picture" aria-hidden="true">
        <svg viewBox="0 0 320 120" width="320" height="120">
          <path class="wire" d="M84 60h52M184 60c40 0 28-36 62-36M184 60h62M184 60c40 0 28 36 62 36" />
          <rect class="box" x="20" y="44" width="64" height="32" rx="8" />
          <rect class="gate" x="136" y="40" width="48" height="40" rx="10" />
          <path class="gate-sign" d="M148 60h8M156 60c6 0 5-8 14-8M156 60h14M156 60c6 0 5 8 14 8" />
          {[24, 60, 96].map((y) => (
            <rect key={y} class="ghost" x="246" y={y - 12} width="56" height="24" rx="7" />
          ))}
          <text x="52" y="64">
            you
          </text>
        </svg>
      </div>
      <h2>Join your first cluster</h2>
      <p>
        Every cluster that joins gets one Kubernetes API path here. You reach all of them with the credentials that you
        have at the hub; theirs stay inside.
      </p>
      {permissions.join ? (
        <a class="button primary big" href="/join">
          <Icon name="plus" />
          Join a cluster
        </a>
      ) : (
        <p class="hint">You may not join clusters. Somebody who may create Secrets in the gateway’s namespace can.</p>
      )}
      <ol class="first-steps">
        <li>
          <b>Bring a kubeconfig.</b> It stays in your browser until you confirm.
        </li>
        <li>
          <b>See what would happen.</b> Every hop to the cluster is checked, and every object that would be written is
          shown.
        </li>
        <li>
          <b>Confirm, and watch it come up.</b> You can undo it with one click.
        </li>
      </ol>
      <p class="hint">Or from a terminal:</p>
      <Code label="The command that joins a cluster" text="cluster-gateway join member.kubeconfig --name prod-berlin" />
    </div>
  );
}
