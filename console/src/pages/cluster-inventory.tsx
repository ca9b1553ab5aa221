import { useEffect, useRef } from 'preact/hooks';
import { clusterPath } from '../api/client';
import type { ClusterNode, Inventory, Resources, Status, StorageClass } from '../api/types';
import { bytes, cores, milliseconds, plural } from '../logic/format';
import { useLoad } from '../state/load';
import { Age, Empty, Loading, Panel, Problem, Time } from '../ui/basics';
import { HealthGlyph } from '../ui/icons';

/** What the member says of itself: read when the page opens, and again when the member comes back. */
export function CapacityPanels({ name, status }: { name: string; status: Status }) {
  const inventory = useLoad<Inventory>(clusterPath('fleet', name, 'inventory'));
  const before = useRef(status);
  useEffect(() => {
    if (before.current !== status) inventory.reload();
    before.current = status;
  }, [status, inventory.reload]);
  const { value, error } = inventory;
  const aside = value && (
    <span class="muted">
      read <Time at={value.at} />, in {milliseconds(value.tookMilliseconds)}
    </span>
  );
  return (
    <>
      <Panel title="Capacity" aside={aside} class="is-capacity">
        {error && <Problem error={error} onRetry={inventory.reload} />}
        {!value && !error && <Loading />}
        {value && <Capacity capacity={value.capacity} allocatable={value.allocatable} />}
        {value?.problems.map((problem) => (
          <Problem key={problem.what} error={{ message: problem.message, remedy: '' }} />
        ))}
      </Panel>
      {value && <Nodes nodes={value.nodes} />}
      {value && <StorageClasses classes={value.storageClasses} />}
      {!value && !error && (
        <Panel title="Nodes">
          <Loading lines={9} />
        </Panel>
      )}
    </>
  );
}

function Capacity({ capacity, allocatable }: { capacity: Resources; allocatable: Resources }) {
  const rows = [
    {
      words: 'CPU',
      share: allocatable.cpu / capacity.cpu,
      free: cores(allocatable.cpu),
      all: `${cores(capacity.cpu)} cores`,
    },
    {
      words: 'Memory',
      share: allocatable.memory / capacity.memory,
      free: bytes(allocatable.memory),
      all: bytes(capacity.memory),
    },
    {
      words: 'Pods',
      share: allocatable.pods / capacity.pods,
      free: String(allocatable.pods),
      all: String(capacity.pods),
    },
  ];
  return (
    <dl class="capacity">
      {rows.map((row) => (
        <div key={row.words}>
          <dt>{row.words}</dt>
          <dd>
            <span class="capacity-words">
              <b>{row.free}</b> <span class="muted">allocatable of {row.all}</span>
            </span>
            <span class="meter" aria-hidden="true">
              <span style={{ width: `${Math.round((Number.isFinite(row.share) ? row.share : 0) * 1000) / 10}%` }} />
            </span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Nodes({ nodes }: { nodes: ClusterNode[] }) {
  const down = nodes.filter((node) => node.ready !== 'True').length;
  return (
    <Panel
      title="Nodes"
      aside={
        <span class="muted">
          {plural(nodes.length, 'node')}
          {down > 0 && <span class="is-bad-text">, {down} not ready</span>}
        </span>
      }
    >
      {nodes.length === 0 ? (
        <Empty title="The cluster has no nodes" />
      ) : (
        <div class="scroll" tabIndex={0} role="group" aria-label="Nodes">
          <table class="table nodes">
            <thead>
              <tr>
                <th scope="col">Node</th>
                <th scope="col">Roles</th>
                <th scope="col" class="is-number">
                  CPU
                </th>
                <th scope="col" class="is-number">
                  Memory
                </th>
                <th scope="col">Kubelet</th>
                <th scope="col">Platform</th>
                <th scope="col">Age</th>
              </tr>
            </thead>
            <tbody>
              {nodes.map((node) => (
                <tr key={node.name}>
                  <td>
                    <span class="with-glyph" title={node.reason || undefined}>
                      <HealthGlyph
                        health={
                          node.ready === 'True'
                            ? node.unschedulable
                              ? 'warned'
                              : 'healthy'
                            : node.ready === 'False'
                              ? 'unhealthy'
                              : 'unknown'
                        }
                      />
                      <span>
                        {node.name}
                        {node.ready !== 'True' && <span class="why">{node.reason || 'not ready'}</span>}
                        {node.unschedulable && <span class="muted"> cordoned</span>}
                      </span>
                    </span>
                  </td>
                  <td>{node.roles.join(', ') || <span class="muted">worker</span>}</td>
                  <td class="is-number">{cores(node.capacity.cpu)}</td>
                  <td class="is-number">{bytes(node.capacity.memory)}</td>
                  <td>{node.kubeletVersion}</td>
                  <td>
                    {node.operatingSystem}/{node.architecture}
                  </td>
                  <td class="nowrap">
                    <Age since={node.createTime} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function StorageClasses({ classes }: { classes: StorageClass[] }) {
  return (
    <Panel title="Storage classes">
      {classes.length === 0 ? (
        <Empty title="No storage classes">
          <p>Workloads that ask for a volume will wait until there is one.</p>
        </Empty>
      ) : (
        <div class="scroll" tabIndex={0} role="group" aria-label="Storage classes">
          <table class="table storage">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Provisioner</th>
                <th scope="col">Binding</th>
                <th scope="col">Reclaim</th>
              </tr>
            </thead>
            <tbody>
              {classes.map((one) => (
                <tr key={one.name}>
                  <td>
                    {one.name} {one.isDefault && <span class="tag">default</span>}
                  </td>
                  <td class="mono">{one.provisioner}</td>
                  <td>{one.volumeBindingMode}</td>
                  <td>{one.reclaimPolicy}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}
