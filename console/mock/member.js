import { FAULTS, words } from './faults.js';
import { hash, random } from './random.js';

const DAY = 86_400_000;
const GIB = 1024 ** 3;
const HOPS = [
  'Secret',
  'Parse',
  'Dns',
  'Connect',
  'Tunnel',
  'Tls',
  'Authentication',
  'Authorization',
  'Version',
  'Upgrade',
];

/** What a member tells of itself. */
export function inventory(world, cluster) {
  const r = random(hash(cluster.name) + 1);
  const nodes = [];
  const workers = r.between(2, 9);
  for (let index = 0; index < workers + 1; index += 1) {
    const control = index === 0;
    const cpu = control ? 4 : r.pick([8, 16, 16, 32]);
    const memory = cpu * 4 * GIB;
    const ready = index === 3 && workers > 4 ? 'False' : 'True';
    nodes.push({
      name: control ? `${cluster.name}-control-plane` : `${cluster.name}-worker-${index}`,
      roles: control ? ['control-plane'] : [],
      ready,
      reason: ready === 'True' ? '' : 'KubeletNotReady: container runtime network not ready',
      unschedulable: index === 2 && workers > 6,
      kubeletVersion: cluster.version || 'v1.32.4',
      operatingSystem: 'linux',
      architecture: r.pick(['amd64', 'amd64', 'arm64']),
      capacity: { cpu, memory, pods: 110 },
      allocatable: { cpu: cpu - 0.25, memory: memory - 1.4 * GIB, pods: 110 },
      createTime: world.time(-r.between(3, 300) * DAY),
    });
  }
  const sum = (what) =>
    nodes.reduce(
      (total, node) => ({
        cpu: total.cpu + node[what].cpu,
        memory: total.memory + node[what].memory,
        pods: total.pods + node[what].pods,
      }),
      {
        cpu: 0,
        memory: 0,
        pods: 0,
      },
    );
  return {
    at: world.time(),
    tookMilliseconds: 38.4,
    capacity: sum('capacity'),
    allocatable: sum('allocatable'),
    nodes,
    storageClasses: [
      storageClass('gp3', 'ebs.csi.aws.com', 'WaitForFirstConsumer', true),
      storageClass('efs', 'efs.csi.aws.com', 'Immediate', false),
    ],
    problems: [],
  };
}

function storageClass(name, provisioner, volumeBindingMode, isDefault) {
  return { name, provisioner, reclaimPolicy: 'Delete', volumeBindingMode, allowVolumeExpansion: true, isDefault };
}

/** The chain that a member serves, and the client certificate if there is one. */
export function certificates(world, cluster) {
  const host = new URL(cluster.apiServerURL).hostname;
  const expired = world.faults.get(cluster.name) === 'Tls';
  return {
    served: [
      certificate(
        world,
        'CN=kube-apiserver',
        'CN=kubernetes',
        [host, 'kubernetes.default.svc', '10.96.0.1'],
        -340,
        expired ? -2 : 25,
        'Leaf',
      ),
      certificate(world, 'CN=kubernetes', 'CN=kubernetes', [], -700, 2950, 'Root'),
    ],
    verification: 'Bundle',
    verified: !expired,
    problem: expired ? words(FAULTS.Tls.found, cluster) : null,
    client:
      cluster.credential.type === 'X509Certificate'
        ? {
            ...certificate(world, 'O=cluster-gateway,CN=gateway', 'CN=kubernetes', [], -300, 5, 'Leaf'),
            notAfter: cluster.credential.expires,
          }
        : null,
  };
}

function certificate(world, subject, issuer, subjectAltNames, from, until, role) {
  const value = hash(subject + from)
    .toString(16)
    .padStart(8, '0');
  return {
    subject,
    issuer,
    subjectAltNames,
    notBefore: world.time(from * DAY),
    notAfter: world.time(until * DAY),
    publicKey: role === 'Root' ? 'RSA 2048' : 'ECDSA P-256',
    sha256: value.repeat(8),
    role,
  };
}

const USERS = [
  'alice@example.com',
  'bob@example.com',
  'system:serviceaccount:vela-system:kubevela',
  'carol@example.com',
];
const PATHS = [
  ['list', '/api/v1/namespaces/default/pods'],
  ['get', '/apis/apps/v1/namespaces/web/deployments/frontend'],
  ['watch', '/api/v1/namespaces/web/pods'],
  ['patch', '/apis/apps/v1/namespaces/web/deployments/frontend'],
  ['create', '/api/v1/namespaces/web/pods/frontend-5d4f/exec'],
  ['list', '/api/v1/nodes'],
  ['get', '/api/v1/namespaces/web/pods/frontend-5d4f/log'],
];

/** One request as the gateway saw it; the number decides everything about it. */
export function request(world, cluster, number, age) {
  const r = random(hash(cluster.name) + number * 31);
  const [verb, path] = r.pick(PATHS);
  const base = { id: `${cluster.name}-${number}`, at: world.time(-age), user: r.pick(USERS), verb, path };
  const fault = world.faults.get(cluster.name);
  if (fault && number % 3 === 0) {
    return {
      ...base,
      code: 503,
      tookMilliseconds: 0.2,
      outcome: 'Refused',
      refusedBy: 'Breaker',
      reason: words(FAULTS[fault].found, cluster),
    };
  }
  if (number % 7 === 3) {
    const reason = `User "${base.user}" cannot ${verb} resource "clustergateways/proxy" in API group "cluster.core.oam.dev"`;
    return { ...base, code: 403, tookMilliseconds: 1.1, outcome: 'Refused', refusedBy: 'Authorization', reason };
  }
  if (number % 19 === 5) {
    return {
      ...base,
      code: 429,
      tookMilliseconds: 0.1,
      outcome: 'Refused',
      refusedBy: 'Limits',
      reason: 'this user has 100 requests under way at this cluster',
    };
  }
  const running = verb === 'watch' && number % 2 === 0;
  return {
    ...base,
    code: 200,
    tookMilliseconds: running ? null : Math.round(cluster.typical * (0.9 + r.next()) * 10) / 10,
    outcome: 'Answered',
    refusedBy: null,
    reason: '',
  };
}

/** What still refers to a cluster, and what a detach would do. */
export function references(cluster) {
  const r = random(hash(cluster.name) + 5);
  const trackers = [];
  for (const application of ['catalog', 'mailer'].slice(0, r.between(1, 2))) {
    trackers.push({ name: `${application}-v${r.between(2, 9)}-shop`, resources: r.between(1, 14) });
  }
  const reachable = cluster.status !== 'Unhealthy';
  const ours = cluster.credential.renewal === 'Gateway';
  const changes = [
    ...trackers.map(({ name }) => ({ verb: 'Replace', object: `ResourceTracker ${name}`, side: 'hub' })),
    { verb: 'Delete', object: `Secret vela-system/${cluster.name}`, side: 'hub' },
    ...(ours && reachable ? [{ verb: 'Delete', object: 'Namespace cluster-gateway', side: 'member' }] : []),
  ];
  const notes = reachable ? [] : ['Namespace cluster-gateway stays in the member, which does not answer'];
  return {
    references: { applications: ['shop/checkout'], trackers },
    plan: { cluster: cluster.name, changes, notes },
    reachable,
    needsForce: !reachable,
  };
}

/** The findings of a diagnosis, in the order of the hops, up to the first that fails. */
export function findings(world, cluster, planned = false) {
  const url = new URL(cluster.apiServerURL);
  const fault = world.faults.get(cluster.name);
  const good = {
    Secret: planned
      ? 'the name is free; nothing in the hub is overwritten'
      : `Secret vela-system/${cluster.name}, credential type ${cluster.credential.type}`,
    Parse: `endpoint ${cluster.apiServerURL}, CA bundle with 1 certificate, ${cluster.credential.type}`,
    Dns: `${url.hostname} is 10.0.0.1, 10.0.0.2`,
    Connect: `connected to 10.0.0.1:${url.port || 443}`,
    Tls: `TLS 1.3, "${url.hostname}" is in the certificate, signed by CN=kubernetes, valid for 25 more days`,
    Authentication: 'the member knows us as system:serviceaccount:cluster-gateway:gateway',
    Authorization: 'may impersonate users, groups and extras',
    Version: `Kubernetes ${cluster.version || 'v1.32.4'}; within what this gateway is tested with (v1.24 to v1.34)`,
    Upgrade: 'a WebSocket upgrade reached the member and was answered',
  };
  const took = {
    Dns: 2.1,
    Connect: 11.4,
    Tls: 18.7,
    Authentication: 12.3,
    Authorization: 13.1,
    Version: 9.8,
    Upgrade: 14.2,
  };
  const result = [];
  let failed = null;
  for (const hop of HOPS) {
    if (failed) {
      result.push({ hop, outcome: 'Skipped', found: `not tried: ${failed} failed`, tookMilliseconds: 0 });
    } else if (hop === 'Tunnel' && fault !== 'Tunnel') {
      result.push({ hop, outcome: 'Skipped', found: 'the cluster is reached directly', tookMilliseconds: 0 });
    } else if (hop === fault) {
      const warned = hop === 'Upgrade' || hop === 'Authorization';
      result.push({
        hop,
        outcome: warned ? 'Warned' : 'Failed',
        found: words(FAULTS[hop].found, cluster),
        remedy: words(FAULTS[hop].remedy, cluster),
        tookMilliseconds: took[hop] ?? 0.1,
      });
      if (!warned) failed = hop;
    } else if (hop === 'Tls' && !planned) {
      result.push({
        hop,
        outcome: 'Warned',
        found: good.Tls,
        remedy: 'The serving certificate ends in 25 days. Renew it in time (kubeadm: kubeadm certs renew apiserver).',
        tookMilliseconds: took.Tls,
      });
    } else {
      result.push({ hop, outcome: 'Passed', found: good[hop], tookMilliseconds: took[hop] ?? 0.1 });
    }
  }
  return result;
}
