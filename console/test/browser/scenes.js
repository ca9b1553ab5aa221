// Every page and state of the console worth looking at: for pictures, for axe, and for what must not overflow.
import { until } from './webdriver.js';

export const KUBECONFIG = `apiVersion: v1
kind: Config
current-context: berlin-admin
clusters:
- name: berlin
  cluster:
    server: https://berlin-admin.k8s.example.com:6443
    certificate-authority-data: LS0tLS1CRUdJTi4uLg==
contexts:
- context:
    cluster: berlin
    user: admin
  name: berlin-admin
- context:
    cluster: berlin
    user: reader
  name: berlin-reader
users:
- name: admin
  user:
    client-certificate-data: LS0tLS1CRUdJTi4uLg==
    client-key-data: LS0tLS1CRUdJTi4uLg==
`;

async function page(browser, mock, path, options = {}) {
  mock.world.reset({ quiet: true, ...options });
  mock.world.server = { offline: false, slow: 0, failing: new Set() };
  await browser.open(mock.url + path);
  await browser.waits('h1');
  await browser.gone('.loading');
}

/** Puts a text into the field for a kubeconfig, as pasting does. */
export async function paste(browser, text) {
  await browser.waits('textarea');
  await browser.run(
    'const t = document.querySelector("textarea"); t.value = arguments[0]; t.dispatchEvent(new Event("input", { bubbles: true }))',
    text,
  );
  await until('a button that can be pressed', () =>
    browser.run('return !document.querySelector("button[type=submit]").disabled'),
  );
}

export const scenes = [
  {
    name: 'login',
    narrow: true,
    show: (browser, mock) => page(browser, mock, '/login', { login: 'oidc' }),
  },
  {
    name: 'fleet',
    narrow: true,
    async show(browser, mock) {
      await page(browser, mock, '/', { clusters: 24 });
      await browser.waits('.fleet-row');
    },
  },
  {
    name: 'fleet-10000',
    async show(browser, mock) {
      await page(browser, mock, '/?q=-env%3Ddev&sort=-latency', { clusters: 10_000 });
      await browser.waits('.fleet-row');
    },
  },
  {
    name: 'fleet-views',
    async show(browser, mock) {
      await page(browser, mock, '/?q=status%3Aattention', { clusters: 24 });
      await browser.press('Views');
      await browser.waits('[role=menu]');
    },
  },
  {
    name: 'fleet-empty',
    narrow: true,
    async show(browser, mock) {
      await page(browser, mock, '/', { clusters: 0 });
      await browser.waits('.first');
    },
  },
  {
    name: 'fleet-nothing-found',
    show: (browser, mock) => page(browser, mock, '/?q=atlantis%20expires%3Asoon', { clusters: 24 }),
  },
  {
    name: 'fleet-offline',
    narrow: true,
    async show(browser, mock) {
      await page(browser, mock, '/', { clusters: 24 });
      await browser.waits('.fleet-row');
      await fetch(`${mock.url}/mock/server`, { method: 'POST', body: '{"offline":true}' });
      await browser.waits('.banner');
    },
  },
  {
    name: 'help',
    narrow: true,
    async show(browser, mock) {
      await page(browser, mock, '/', { clusters: 24 });
      await browser.waits('.fleet-row');
      await browser.keys('?');
      await browser.waits('dialog');
    },
  },
  {
    name: 'cluster',
    narrow: true,
    async show(browser, mock) {
      await page(browser, mock, '/clusters/prod-frankfurt');
      await browser.waits('.requests');
      await browser.waits('.chain');
    },
  },
  {
    name: 'cluster-unhealthy',
    narrow: true,
    async show(browser, mock) {
      await page(browser, mock, '/clusters/staging-dublin');
      mock.world.breakHop('staging-dublin', 'Tls');
      await browser.waits('[data-health=unhealthy]');
      await browser.sees('Run doctor');
    },
  },
  {
    name: 'cluster-edit',
    async show(browser, mock) {
      await page(browser, mock, '/clusters/prod-frankfurt');
      await browser.press('Change the alias');
      await browser.press('Add a label');
      await browser.type('[aria-label="Label, as key=value"]', 'not a label');
      await browser.press('Add');
      await browser.sees('A key is');
    },
  },
  {
    name: 'cluster-kubectl',
    narrow: true,
    async show(browser, mock) {
      await page(browser, mock, '/clusters/prod-frankfurt');
      await browser.press('kubectl');
      await browser.waits('dialog .code');
    },
  },
  {
    name: 'cluster-detach',
    narrow: true,
    async show(browser, mock) {
      await page(browser, mock, '/clusters/staging-dublin');
      mock.world.breakHop('staging-dublin', 'Connect');
      await browser.press('Detach');
      await browser.waits('dialog .references');
    },
  },
  {
    name: 'cluster-missing',
    show: (browser, mock) => page(browser, mock, '/clusters/atlantis'),
  },
  {
    name: 'doctor-healthy',
    async show(browser, mock) {
      await page(browser, mock, '/clusters/prod-frankfurt/doctor');
      await browser.waits('[data-verdict=Warned]');
    },
  },
  {
    name: 'doctor-failed',
    narrow: true,
    async show(browser, mock) {
      await page(browser, mock, '/');
      mock.world.breakHop('prod-frankfurt', 'Authentication');
      await browser.open(`${mock.url}/clusters/prod-frankfurt/doctor`);
      await browser.waits('[data-verdict=Failed]');
    },
  },
  {
    name: 'join-1-kubeconfig',
    narrow: true,
    show: (browser, mock) => page(browser, mock, '/join'),
  },
  {
    name: 'join-2-cluster',
    narrow: true,
    async show(browser, mock) {
      await page(browser, mock, '/join');
      await paste(browser, KUBECONFIG);
      await browser.press('Continue');
      await browser.sees('Which context');
    },
  },
  {
    name: 'join-3-check',
    narrow: true,
    async show(browser, mock) {
      await page(browser, mock, '/join');
      await paste(browser, KUBECONFIG);
      await browser.press('Continue');
      await browser.press('Check');
      await browser.sees('Everything is well');
    },
  },
  {
    name: 'join-3-refused',
    async show(browser, mock) {
      await page(browser, mock, '/join');
      await paste(browser, KUBECONFIG);
      mock.world.faults.set('berlin-admin', 'Dns');
      await browser.press('Continue');
      await browser.press('Check');
      await browser.sees('It cannot be joined like this');
    },
  },
  {
    name: 'join-4-joined',
    narrow: true,
    async show(browser, mock) {
      await page(browser, mock, '/join');
      await paste(browser, KUBECONFIG);
      await browser.press('Continue');
      await browser.press('Check');
      await browser.press('Join berlin-admin');
      await browser.sees('is joined and healthy');
    },
  },
  {
    name: 'not-found',
    show: (browser, mock) => page(browser, mock, '/nowhere'),
  },
  {
    name: 'no-gateway',
    async show(browser, mock) {
      mock.world.reset({ quiet: true });
      mock.world.server = { offline: true, slow: 0, failing: new Set() };
      await browser.open(mock.url);
      await browser.sees('does not answer');
    },
  },
];
