import { FAULTS, words } from './faults.js';
import { hash, random } from './random.js';

const DAY = 86_400_000;
const SAMPLES = 24;

const PLACES = [
  'frankfurt',
  'dublin',
  'oregon',
  'singapore',
  'mumbai',
  'saopaulo',
  'sydney',
  'tokyo',
  'paris',
  'toronto',
];
const ENVIRONMENTS = ['prod', 'staging', 'dev', 'edge'];
const TEAMS = ['payments', 'search', 'platform', 'media', 'data'];
const VERSIONS = ['v1.29.14', 'v1.30.11', 'v1.31.8', 'v1.32.4', 'v1.33.1'];
const ALIASES = {
  'prod-frankfurt': 'Payments, Frankfurt',
  'staging-dublin': 'Staging',
  'edge-oregon-07': 'Store 7, Portland',
};

/**
 * Everything that the mock knows: a fleet, what is wrong with it, and who listens.
 * Time is fixed at 2026-11-22T12:00:00Z plus what passes in reality, so that ages in screenshots never change.
 */
export class World {
  constructor(options = {}) {
    this.reset(options);
  }

  reset({ clusters = 3, login = 'none', quiet = false, mode = 'hub', readOnly = false } = {}) {
    this.started = Date.now();
    this.options = { login, quiet, mode, readOnly };
    this.generation = 1;
    this.history = [];
    this.listeners ??= new Set();
    this.faults = new Map();
    this.server = { offline: false, slow: 0, failing: new Set() };
    this.sessions = new Set();
    this.clusters = new Map();
    this.requests = new Map();
    this.requestNumber = 0;
    const names = clusters <= 3 ? Object.keys(ALIASES).slice(0, clusters) : fleetNames(clusters);
    names.forEach((name, index) => {
      this.clusters.set(name, this.make(name, index, clusters > 3));
    });
    this.tell({ event: 'gone', data: {} });
  }

  now() {
    return Date.parse('2026-11-22T12:00:00Z') + (this.options.quiet ? 0 : Date.now() - this.started);
  }

  time(offset = 0) {
    return new Date(this.now() + offset).toISOString().replace(/\.\d+Z$/, 'Z');
  }

  make(name, index, mixed) {
    const r = random(hash(name));
    const environment = name.split('-')[0];
    const typical = r.between(4, 90);
    const type = r.chance(0.72) ? 'ServiceAccountToken' : r.chance(0.7) ? 'X509Certificate' : 'Dynamic';
    const days = type === 'X509Certificate' ? r.between(9, 340) : null;
    const cluster = {
      name,
      alias: ALIASES[name] ?? (r.chance(0.3) ? `${r.pick(TEAMS)} ${name.split('-')[1]}` : ''),
      description: '',
      icon: '',
      dashboardURL: '',
      labels: {
        env: environment,
        region: name.split('-')[1],
        team: r.pick(TEAMS),
        ...(r.chance(0.2) ? { 'topology.kubernetes.io/zone': `${name.split('-')[1]}-${r.pick(['a', 'b', 'c'])}` } : {}),
      },
      status: 'Healthy',
      reason: '',
      since: this.time(-r.between(1, 60) * DAY),
      latency: Array.from({ length: SAMPLES }, () => sample(r, typical)),
      version: mixed ? r.pick(VERSIONS) : VERSIONS[3 + (index % 2)],
      apiServerURL: `https://${name}.k8s.example.com:6443`,
      endpointType: 'Const',
      credential: {
        type,
        expires:
          type === 'ServiceAccountToken' ? this.time(r.between(600, 3300) * 1000) : days ? this.time(days * DAY) : null,
        renewal: type === 'ServiceAccountToken' ? 'Gateway' : type === 'Dynamic' ? 'Program' : 'None',
      },
      engine: r.chance(0.06) ? 'ocm' : 'cluster-gateway',
      createTime: this.time(-r.between(20, 700) * DAY),
      resourceVersion: String(1000 + index),
      typical,
    };
    if (!mixed && index === 1)
      cluster.credential = { type: 'X509Certificate', expires: this.time(5 * DAY + 3_600_000), renewal: 'None' };
    if (mixed) this.disturb(cluster, r, index);
    return cluster;
  }

  /** Gives part of a big fleet something to show. */
  disturb(cluster, r, index) {
    if (index % 17 === 4) {
      const hop = r.pick(['Connect', 'Dns', 'Tls', 'Authentication']);
      this.faults.set(cluster.name, hop);
      cluster.status = 'Unhealthy';
      cluster.reason = words(FAULTS[hop].found, cluster);
      cluster.since = this.time(-r.between(2, 2000) * 60_000);
      cluster.latency = cluster.latency.map((ms, at) => (at > r.between(8, 20) ? null : ms));
    } else if (index % 23 === 9) {
      cluster.reason = 'GET /readyz answered 403 Forbidden: the credential may not read it';
    } else if (index % 29 === 11) {
      cluster.status = 'Unknown';
      cluster.reason = 'not probed yet';
      cluster.latency = [];
      cluster.version = '';
      cluster.since = null;
    }
    if (index % 13 === 6 && cluster.credential.type !== 'ServiceAccountToken') {
      cluster.credential = { type: 'X509Certificate', expires: this.time(r.between(-2, 6) * DAY), renewal: 'None' };
    }
  }

  list() {
    return [...this.clusters.values()].map(shown);
  }

  change(name, patch) {
    const cluster = this.clusters.get(name);
    if (!cluster) return null;
    Object.assign(cluster, patch);
    this.generation += 1;
    this.tell({ event: 'changed', data: { generation: String(this.generation), clusters: [shown(cluster)] } });
    return cluster;
  }

  add(cluster) {
    this.clusters.set(cluster.name, cluster);
    this.change(cluster.name, {});
  }

  remove(name) {
    this.clusters.delete(name);
    this.faults.delete(name);
    this.generation += 1;
    this.tell({ event: 'removed', data: { generation: String(this.generation), names: [name] } });
  }

  breakHop(name, hop) {
    this.faults.set(name, hop);
    const cluster = this.clusters.get(name);
    if (!cluster) return;
    const failed = !['Upgrade', 'Authorization'].includes(hop);
    this.change(name, {
      status: failed ? 'Unhealthy' : 'Healthy',
      reason: words(FAULTS[hop].found, cluster),
      since: this.time(),
      latency: failed ? [...cluster.latency.slice(-SAMPLES + 1), null] : cluster.latency,
    });
  }

  repair(name) {
    this.faults.delete(name);
    this.change(name, { status: 'Healthy', reason: '', since: this.time() });
  }

  /** One round of probes: a sample for each cluster whose turn it is. */
  measure() {
    const samples = {};
    let turn = 0;
    for (const cluster of this.clusters.values()) {
      turn += 1;
      if (this.clusters.size > 50 && (turn + this.generation) % 30 !== 0) continue;
      if (cluster.status === 'Unknown') continue;
      const r = random(hash(cluster.name) + cluster.latency.length + Math.floor(this.now() / 1000));
      const value = cluster.status === 'Unhealthy' ? null : sample(r, cluster.typical);
      cluster.latency = [...cluster.latency, value].slice(-SAMPLES);
      samples[cluster.name] = value;
    }
    if (Object.keys(samples).length) this.tell({ event: 'measured', data: { samples } });
  }

  /** What has changed since a generation; `null` if that is no longer known. */
  missed(since) {
    if (since === String(this.generation)) return [];
    const at = this.history.findIndex(({ data }) => data.generation === since);
    return at < 0 ? null : this.history.slice(at + 1);
  }

  tell(message) {
    if (message.data.generation) this.history = [...this.history.slice(-999), message];
    for (const listener of this.listeners) listener(message);
  }
}

/** A cluster without what only the mock knows. */
export function shown(cluster) {
  const { typical, ...rest } = cluster;
  return rest;
}

function sample(r, typical) {
  const spike = r.chance(0.06) ? r.between(2, 5) : 1;
  return Math.round(typical * (0.8 + r.next() * 0.5) * spike * 10) / 10;
}

function fleetNames(count) {
  const names = [];
  for (let index = 0; index < count; index += 1) {
    const environment = ENVIRONMENTS[index % ENVIRONMENTS.length];
    const place = PLACES[(index * 7 + Math.floor(index / 40)) % PLACES.length];
    names.push(`${environment}-${place}-${String(index + 1).padStart(count > 999 ? 5 : 2, '0')}`);
  }
  return names;
}
