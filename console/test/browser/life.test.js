// The life of a cluster, as people live it: join, break, see why, repair, detach.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { harness, visit } from './harness.js';
import { KUBECONFIG, paste } from './scenes.js';
import { KEYS, until } from './webdriver.js';

const shared = harness();
const ROW = '[data-cluster=berlin-admin]';

test('a cluster is joined, breaks, is repaired and is detached', async () => {
  const { browser, mock } = shared;
  shared.expected = [/status of 502/];
  await visit(shared, '/', { clusters: 0 });
  await browser.sees('Join your first cluster');
  await browser.press('Join a cluster');
  await paste(browser, KUBECONFIG);
  await browser.press('Continue');
  await browser.sees('berlin-reader');
  await browser.press('Check');
  await browser.sees('Everything is well');
  assert.equal(mock.world.clusters.size, 0, 'the check has written something');
  await browser.press('Join berlin-admin');
  await browser.waits('.comes-up[data-health=healthy]');
  await browser.press('Open berlin-admin');
  await browser.waits('[data-health=healthy]');

  mock.world.breakHop('berlin-admin', 'Connect');
  await browser.sees('dial tcp 10.0.0.1:6443: connect: connection refused', '[data-health=unhealthy]');
  await browser.press('Find out why');
  await browser.waits('[data-hop=Connect][data-outcome=Failed]');
  await browser.sees('Is kube-apiserver running there?', '[data-hop=Connect]');
  await browser.waits('[data-hop=Upgrade][data-outcome=Skipped]');
  await browser.sees('It ends at Connect.');

  await browser.press('Fleet');
  await browser.sees('Unhealthy', ROW);
  await browser.sees('connection refused', ROW);
  mock.world.repair('berlin-admin');
  await browser.waits(`${ROW}.is-healthy`);

  await browser.click(`${ROW} a`);
  await browser.press('Detach');
  await browser.sees('still refer');
  await browser.sees('Secret vela-system/berlin-admin');
  await browser.type('dialog input[type=text]', 'berlin');
  assert.ok(await browser.run('return document.querySelector(".button.danger").disabled'), 'half a name is enough');
  await browser.type('dialog input[type=text]', 'berlin-admin');
  await browser.click('.button.danger');
  await browser.sees('berlin-admin is detached.');
  await browser.sees('Join your first cluster');
  assert.equal(mock.world.clusters.size, 0);
});

test('a joined cluster can be undone', async () => {
  const { browser, mock } = shared;
  await visit(shared, '/join', { clusters: 3 });
  await paste(browser, KUBECONFIG);
  await browser.press('Continue');
  await browser.press('Check');
  await browser.press('Join berlin-admin');
  await browser.press('Undo');
  await browser.sees('as if it had never been joined');
  assert.equal(mock.world.clusters.has('berlin-admin'), false);
  assert.equal(
    await browser.run('return document.querySelector("textarea").value'),
    '',
    'the kubeconfig is still there',
  );
});

test('a join that fails late says that nothing remains', async () => {
  const { browser, mock } = shared;
  await visit(shared, '/join', { clusters: 3 });
  await paste(browser, KUBECONFIG);
  await browser.press('Continue');
  await browser.type('[aria-describedby=name-help]', 'breaks-late');
  await browser.press('Check');
  await browser.press('Join breaks-late');
  await browser.sees('Everything is as it was before');
  assert.equal(mock.world.clusters.size, 3);
});

test('a preflight that fails keeps a cluster out, and can be repeated', async () => {
  const { browser, mock } = shared;
  await visit(shared, '/join', { clusters: 3 });
  mock.world.faults.set('berlin-admin', 'Tls');
  await paste(browser, KUBECONFIG);
  await browser.press('Continue');
  await browser.press('Check');
  await browser.waits('[data-hop=Tls][data-outcome=Failed]');
  assert.ok(await browser.run('return [...document.querySelectorAll(".primary")].at(-1).disabled'));
  mock.world.faults.clear();
  await browser.press('Check again');
  await browser.sees('Everything is well');
  assert.equal(await browser.run('return [...document.querySelectorAll(".primary")].at(-1).disabled'), false);
});

test('bad kubeconfigs and names are refused with a remedy', async () => {
  const { browser } = shared;
  shared.expected = [/status of 400/];
  await visit(shared, '/join', { clusters: 3 });
  await paste(browser, 'hello: world');
  await browser.press('Continue');
  await browser.sees('this is no kubeconfig');
  await browser.run(
    'const t = document.querySelector("textarea"); t.value = "a".repeat(1100000); t.dispatchEvent(new Event("input", { bubbles: true }))',
  );
  await browser.press('Continue');
  await browser.sees('a kubeconfig may have 1 MiB');
  await paste(
    browser,
    KUBECONFIG.replace('certificate-authority-data: LS0tLS1CRUdJTi4uLg==', 'certificate-authority: /etc/ca.crt'),
  );
  await browser.press('Continue');
  await browser.sees('the CA is in a file on your machine, /etc/ca.crt');
  await browser.press('Back');
  await paste(browser, KUBECONFIG);
  await browser.press('Continue');
  for (const [name, words] of [
    ['local', 'is reserved'],
    ['Berlin', 'Use a–z'],
    ['prod-frankfurt', 'There is a cluster of this name already'],
  ]) {
    await browser.type('[aria-describedby=name-help]', name);
    await browser.sees(words);
  }
});

test('a dead cluster is detached only by force', async () => {
  const { browser, mock } = shared;
  shared.expected = [/status of 502/];
  await visit(shared, '/clusters/prod-frankfurt', { clusters: 3 });
  mock.world.breakHop('prod-frankfurt', 'Connect');
  await browser.waits('[data-health=unhealthy]');
  await browser.press('Detach');
  await browser.sees('The member does not answer');
  await browser.type('dialog input[type=text]', 'prod-frankfurt');
  assert.ok(await browser.run('return document.querySelector(".button.danger").disabled'));
  await browser.click('dialog input[type=checkbox]');
  await browser.click('.button.danger');
  await browser.sees('prod-frankfurt is detached.');
  assert.ok(mock.seen.some((one) => one === 'DELETE /api/v1/clusters/prod-frankfurt?force=true'));
});

test('by keyboard alone: join, look, rename, label, diagnose, detach', async () => {
  const { browser, mock } = shared;
  await visit(shared, '/', { clusters: 0 });
  await browser.sees('Join your first cluster');
  await browser.keys('n');
  await browser.waits('textarea');
  await browser.tabTo('Kubeconfig');
  await browser.write(KUBECONFIG);
  await browser.tabTo('Continue');
  await browser.keys(KEYS.Enter);
  await browser.sees('Which context');
  await browser.tabTo('Check');
  await browser.keys(KEYS.Enter);
  await browser.sees('Everything is well');
  await browser.tabTo('Join berlin-admin');
  await browser.keys(KEYS.Enter);
  await browser.sees('is joined and healthy');
  await browser.keys('f');
  await browser.waits(ROW);
  await browser.tabTo(/berlin-admin/);
  await browser.keys(KEYS.Enter);
  await browser.waits('h1');
  await browser.sees('Certificates');
  await browser.tabTo('Add an alias');
  await browser.keys(KEYS.Enter);
  await browser.write('Berlin');
  await browser.keys(KEYS.Enter);
  await browser.sees('The alias is now “Berlin”.');
  await browser.tabTo('Add a label');
  await browser.keys(KEYS.Enter);
  await browser.write('env=prod');
  await browser.keys(KEYS.Enter);
  await browser.sees('Label env=prod is set.');
  assert.deepEqual(mock.world.clusters.get('berlin-admin').labels, { env: 'prod' });
  await browser.keys('f');
  await browser.waits(ROW);
  await browser.tabTo(/Berlin/);
  await browser.keys(KEYS.Enter);
  await browser.sees('Certificates');
  await browser.tabTo('Doctor');
  await browser.keys(KEYS.Enter);
  await browser.waits('[data-verdict=Warned]');
  await browser.tabTo('berlin-admin');
  await browser.keys(KEYS.Enter);
  await browser.sees('Certificates');
  await browser.tabTo('Detach');
  await browser.keys(KEYS.Enter);
  await browser.sees('still refer');
  await until('the focus is in the dialog', () =>
    browser.run('return document.activeElement.closest("dialog") !== null'),
  );
  await browser.keys(KEYS.Escape);
  await browser.gone('dialog');
  assert.equal(await browser.focused(), 'Detach', 'the focus has not come back');
  await browser.keys(KEYS.Enter);
  await browser.sees('still refer');
  await browser.tabTo('INPUT');
  await browser.write('berlin-admin');
  await browser.tabTo('Detach');
  await browser.keys(KEYS.Enter);
  await browser.sees('berlin-admin is detached.');
});
