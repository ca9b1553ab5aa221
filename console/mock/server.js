import { createServer } from 'node:http';
import { dist } from '../dist.js';
import { FAULTS } from './faults.js';
import { body, events, json, page, refuse } from './http.js';
import { contexts, plan } from './join.js';
import { certificates, findings, inventory, request as recent, references } from './member.js';
import { shown, World } from './world.js';

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const ALL = { join: true, update: true, detach: true, diagnose: true, kubeconfig: true };
const NONE = { join: false, update: false, detach: false, diagnose: true, kubeconfig: true };

/** Starts the mock; answers its address and a way to stop it. */
export async function start({ port = 0, host = '127.0.0.1', ...options } = {}) {
  const world = new World(options);
  const open = new Set();
  const seen = [];
  const server = createServer((request, response) => {
    open.add(response);
    seen.push(`${request.method} ${request.url}`);
    response.on('close', () => open.delete(response));
    handle(world, open, request, response).catch((error) => {
      if (!response.headersSent) refuse(request, response, 500, 500, String(error));
      else response.end();
    });
  });
  const timer = setInterval(() => world.options.quiet || world.measure(), 2000);
  await new Promise((resolve) => server.listen(port, host, resolve));
  return {
    world,
    /** Method and path of every request so far. */
    seen,
    url: `http://${host}:${server.address().port}`,
    stop: () => {
      clearInterval(timer);
      for (const response of open) response.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

async function handle(world, open, request, response) {
  const url = new URL(request.url, 'http://mock');
  if (url.pathname.startsWith('/mock/')) return control(world, open, request, response, url);
  if (!url.pathname.startsWith('/api/')) return page(response, url.pathname, dist);
  if (world.server.offline) return response.destroy();
  if (world.server.slow) await pause(world.server.slow);
  // Whoever has gone away in the meantime gets no stream that nobody would ever end.
  if (response.destroyed) return undefined;
  const route = `${request.method} ${url.pathname}`;
  for (const part of world.server.failing) {
    if (url.pathname.includes(part))
      return refuse(
        request,
        response,
        503,
        41500,
        `the store is not reachable (${part})`,
        'Look at the log of the gateway; it tries again by itself.',
      );
  }
  if (route === 'GET /api/v1/login') return json(request, response, 200, login(world));
  if (route === 'POST /api/v1/session') return signIn(world, request, response);
  if (route === 'GET /api/v1/login/oidc') {
    response.writeHead(302, { location: url.searchParams.get('return') || '/', 'set-cookie': cookie(world) });
    return response.end();
  }
  if (!signedIn(world, request)) return refuse(request, response, 401, 41401, 'you are not signed in');
  if (request.method !== 'GET' && request.headers['x-csrf-token'] !== 'mock-csrf') {
    return refuse(request, response, 403, 41403, 'the X-CSRF-Token header is missing or wrong', 'Load the page again.');
  }
  return signedInRoutes(world, request, response, url, route);
}

function login(world) {
  const oidc = world.options.login === 'oidc' ? { name: 'Example SSO', start: '/api/v1/login/oidc' } : null;
  return { oidc, token: true, server: { name: 'hub.example.com', version: 'v0.8.0' } };
}

function cookie(world) {
  const id = String(world.sessions.size + 1);
  world.sessions.add(id);
  return `session=${id}; HttpOnly; SameSite=Strict; Path=/`;
}

function signedIn(world, request) {
  if (world.options.login === 'none') return true;
  return world.sessions.has(/session=(\d+)/.exec(request.headers.cookie ?? '')?.[1]);
}

async function signIn(world, request, response) {
  const { token } = await body(request);
  if (token === 'slow down') {
    return json(
      request,
      response,
      429,
      { BusinessCode: 41429, Message: 'too many attempts; the next is possible in 30 s' },
      { 'retry-after': '30' },
    );
  }
  if (token !== 'good')
    return refuse(
      request,
      response,
      401,
      41401,
      'the hub does not accept this token',
      'Make a new one: kubectl create token NAME --namespace NAMESPACE',
    );
  return json(request, response, 200, session(world), { 'set-cookie': cookie(world) });
}

function session(world) {
  const standalone = world.options.mode === 'standalone';
  return {
    user: { username: 'alice@example.com', groups: ['platform', 'system:authenticated'] },
    method: world.options.login === 'oidc' ? 'OIDC' : 'Token',
    expires: world.time(8 * 3_600_000),
    csrfToken: 'mock-csrf',
    time: world.time(),
    permissions: world.options.readOnly ? NONE : ALL,
    server: {
      name: standalone ? 'gateway.example.com' : 'hub.example.com',
      version: 'v0.8.0',
      mode: standalone ? 'standalone' : 'hub',
      secretNamespace: standalone ? null : 'vela-system',
      routes: standalone ? ['direct'] : ['hub', 'direct'],
    },
  };
}

async function signedInRoutes(world, request, response, url, route) {
  switch (route) {
    case 'GET /api/v1/session':
      return json(request, response, 200, session(world));
    case 'DELETE /api/v1/session':
      world.sessions.clear();
      return json(request, response, 200, {});
    case 'GET /api/v1/fleet':
      return json(request, response, 200, { generation: String(world.generation), clusters: world.list() });
    case 'GET /api/v1/events':
      return fleetEvents(world, response, url.searchParams.get('since'));
    case 'POST /api/v1/join/contexts': {
      const read = contexts((await body(request)).kubeConfig ?? '');
      return json(request, response, read.status ?? 200, read.body);
    }
    case 'POST /api/v1/join/plan':
      return joinPlan(world, response, await body(request));
    case 'POST /api/v1/join':
      return join(world, request, response, await body(request));
  }
  const [, area, encoded, part = ''] = /^\/api\/v1\/(fleet|clusters)\/([^/]+)(?:\/(\w+))?$/.exec(url.pathname) ?? [];
  const cluster = world.clusters.get(decodeURIComponent(encoded ?? ''));
  if (!area) return refuse(request, response, 404, 404, `no route ${route}`);
  if (!cluster) return refuse(request, response, 404, 40003, `no such cluster: ${decodeURIComponent(encoded)}`);
  return clusterRoutes(world, request, response, url, `${request.method} ${area}/${part}`, cluster);
}

async function clusterRoutes(world, request, response, url, route, cluster) {
  const down = cluster.status === 'Unhealthy';
  switch (route) {
    case 'GET fleet/':
      return json(request, response, 200, shown(cluster));
    case 'PUT clusters/':
      return modify(world, request, response, cluster, await body(request));
    case 'DELETE clusters/':
      return detach(world, request, response, url, cluster);
    case 'GET fleet/inventory':
      await pause(world.options.quiet ? 0 : 60);
      if (down) return refuse(request, response, 502, 41502, cluster.reason, 'Run doctor: it shows which hop fails.');
      return json(request, response, 200, inventory(world, cluster));
    case 'GET fleet/certificates':
      return json(request, response, 200, certificates(world, cluster));
    case 'GET fleet/references':
      return json(request, response, 200, references(cluster));
    case 'GET fleet/requests':
      return json(request, response, 200, { requests: requests(world, cluster) });
    case 'GET fleet/events':
      return clusterEvents(world, response, cluster);
    case 'GET fleet/diagnosis':
      return diagnose(world, response, cluster);
    case 'POST fleet/kubeconfig':
      return kubeconfig(world, request, response, cluster, await body(request));
    default:
      return refuse(request, response, 405, 405, `no route ${route}`);
  }
}

function fleetEvents(world, response, since) {
  const send = events(response);
  const missed = world.missed(since);
  if (!missed) {
    send('gone', {});
    return response.end();
  }
  send('alive', { time: world.time() });
  for (const { event, data } of missed) send(event, data);
  const listener = ({ event, data }) => send(event, data);
  world.listeners.add(listener);
  const beat = setInterval(() => send('alive', { time: world.time() }), 5000).unref();
  response.on('close', () => {
    world.listeners.delete(listener);
    clearInterval(beat);
  });
  return undefined;
}

function requests(world, cluster) {
  const known = world.requests.get(cluster.name) ?? 40;
  world.requests.set(cluster.name, known);
  return Array.from({ length: 40 }, (_, index) => recent(world, cluster, known - index, 4_000 + index * index * 900));
}

function clusterEvents(world, response, cluster) {
  const send = events(response);
  send('alive', { time: world.time() });
  const beat = setInterval(() => {
    if (world.options.quiet) return send('alive', { time: world.time() });
    const number = (world.requests.get(cluster.name) ?? 40) + 1;
    world.requests.set(cluster.name, number);
    return send('request', recent(world, cluster, number, 0));
  }, 2500).unref();
  response.on('close', () => clearInterval(beat));
}

async function diagnose(world, response, cluster) {
  const send = events(response);
  const all = findings(world, cluster);
  await tellFindings(world, response, send, all);
  send('done', { cluster: cluster.name, findings: all });
  response.end();
}

async function tellFindings(world, response, send, all) {
  for (const finding of all) {
    if (response.destroyed) return;
    if (finding.outcome !== 'Skipped') {
      send('hop', { hop: finding.hop });
      await pause(world.options.quiet ? 0 : 160);
    }
    send('finding', finding);
  }
}

async function modify(world, request, response, cluster, change) {
  const match = request.headers['if-match'];
  if (match && match !== `"${cluster.resourceVersion}"`) {
    return refuse(
      request,
      response,
      412,
      41412,
      'somebody else has changed this cluster in the meantime',
      'Look at the new values, then change again.',
    );
  }
  if (change.alias && (change.alias.length < 2 || change.alias.length > 64)) {
    return refuse(
      request,
      response,
      400,
      400,
      'alias: must be 2 to 64 bytes long',
      'Choose another, or leave it empty.',
    );
  }
  const { alias, description, labels, dashboardURL, icon } = change;
  world.change(cluster.name, {
    alias,
    description,
    labels,
    dashboardURL,
    icon,
    resourceVersion: String(Number(cluster.resourceVersion) + 1),
  });
  return json(request, response, 200, base(world.clusters.get(cluster.name)));
}

/** VelaUX's ClusterBase. */
function base(cluster) {
  const { name, alias, description, icon, labels, apiServerURL, dashboardURL, status, reason } = cluster;
  return { name, alias, description, icon, labels, providerInfo: {}, apiServerURL, dashboardURL, status, reason };
}

function detach(world, request, response, url, cluster) {
  if (references(cluster).needsForce && url.searchParams.get('force') !== 'true') {
    return refuse(
      request,
      response,
      409,
      41410,
      'the member does not answer, so what was made there cannot be removed',
      'Detach with force: what stays behind is listed.',
    );
  }
  world.remove(cluster.name);
  return json(request, response, 200, base(cluster));
}

function kubeconfig(_world, request, response, cluster, { route }) {
  const server =
    route === 'hub'
      ? `https://hub.example.com:6443/apis/cluster.core.oam.dev/v1alpha1/clustergateways/${cluster.name}/proxy`
      : `https://gateway.example.com:9443/apis/cluster.core.oam.dev/v1alpha1/clustergateways/${cluster.name}/proxy`;
  const text = `apiVersion: v1
kind: Config
clusters:
- name: ${cluster.name}
  cluster:
    server: ${server}
    certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t...
contexts:
- name: ${cluster.name}
  context:
    cluster: ${cluster.name}
    user: me
current-context: ${cluster.name}
users:
- name: me
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: kubectl
      args: [oidc-login, get-token, --oidc-issuer-url=https://sso.example.com]
      interactiveMode: IfAvailable
`;
  const notes =
    route === 'hub'
      ? ['Goes through the hub: its audit log has every request.']
      : ["Goes to the gateway itself: quicker, and the audit is the gateway's own."];
  return json(request, response, 200, {
    kubeconfig: text,
    fileName: `${cluster.name}.kubeconfig`,
    credential: 'ExecPlugin',
    expires: null,
    notes,
  });
}

/** A cluster that is being joined: not in the world yet. */
function candidate(world, wanted) {
  const cluster = world.make(wanted.name, world.clusters.size, false);
  Object.assign(cluster, {
    alias: wanted.alias ?? '',
    labels: wanted.labels ?? {},
    createTime: world.time(),
    since: world.time(),
  });
  cluster.credential = plan(wanted).credential;
  return cluster;
}

async function joinPlan(world, response, wanted) {
  const send = events(response);
  const all = findings(world, candidate(world, wanted), true);
  if (world.clusters.has(wanted.name)) {
    all[0] = {
      hop: 'Secret',
      outcome: 'Failed',
      found: `a cluster named ${wanted.name} is joined already`,
      remedy: 'Choose another name, or replace its credential: cluster-gateway rotate',
      tookMilliseconds: 2,
    };
    for (const finding of all.slice(1))
      Object.assign(finding, { outcome: 'Skipped', found: 'not tried: Secret failed' });
  }
  await tellFindings(world, response, send, all);
  send('plan', plan(wanted));
  response.end();
}

async function join(world, request, response, wanted) {
  if (wanted.digest !== plan(wanted).digest)
    return refuse(request, response, 409, 41409, 'the plan is no longer what you have seen', 'Check again.');
  const send = events(response);
  for (const item of plan(wanted).changes) {
    const step = `${item.verb} ${item.object}`;
    send('step', { step, outcome: 'Started', found: '' });
    await pause(world.options.quiet ? 0 : 200);
    send('step', { step, outcome: 'Passed', found: item.side === 'hub' ? 'in the hub' : 'in the member' });
  }
  if (wanted.name === 'breaks-late') {
    send('failed', {
      BusinessCode: 41510,
      Message: 'the member stopped answering after the Secret was written',
      Remedy: 'Everything is as it was before. Try again.',
    });
    return response.end();
  }
  const cluster = candidate(world, wanted);
  Object.assign(cluster, { status: 'Unknown', reason: 'not probed yet', latency: [], version: '' });
  world.add(cluster);
  send('joined', shown(cluster));
  response.end();
  setTimeout(
    () => {
      world.change(cluster.name, {
        status: 'Healthy',
        reason: '',
        version: 'v1.32.4',
        since: world.time(),
        latency: [cluster.typical],
      });
    },
    world.options.quiet ? 0 : 1200,
  );
  return undefined;
}

/** Switches of the mock itself; no part of the API. */
async function control(world, open, request, response, url) {
  const wanted = await body(request);
  switch (url.pathname) {
    case '/mock/reset':
      world.reset(wanted);
      break;
    case '/mock/break':
      if (!FAULTS[wanted.hop]) return json(request, response, 400, { Message: `no such hop: ${wanted.hop}` });
      world.breakHop(wanted.name, wanted.hop);
      break;
    case '/mock/repair':
      world.repair(wanted.name);
      break;
    case '/mock/change':
      world.change(wanted.name, wanted.patch);
      break;
    case '/mock/server':
      Object.assign(world.server, {
        offline: wanted.offline ?? false,
        slow: wanted.slow ?? 0,
        failing: new Set(wanted.failing ?? []),
      });
      if (world.server.offline) for (const other of open) if (other !== response) other.destroy();
      break;
    default:
      return json(request, response, 404, { Message: 'no such switch' });
  }
  return json(request, response, 200, { ok: true });
}
