// The fleet: what is shown, found, kept, and how it stays true.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { harness, visit } from './harness.js';
import { KEYS, until } from './webdriver.js';

const shared = harness();
const names = (browser) =>
  browser.run('return [...document.querySelectorAll(".fleet-row")].map((e) => e.dataset.cluster)');

test('filter, order and address say the same', async () => {
  const { browser } = shared;
  await visit(shared, '/?q=status%3Aunhealthy', { clusters: 24 });
  await browser.sees('2 of 24 clusters');
  await browser.keys('/');
  await until('the filter has the focus', async () => (await browser.focused()) === 'Filter');
  await browser.write('env=prod');
  await browser.sees('6 of 24 clusters');
  assert.match(await browser.run('return location.search'), /q=env%3Dprod/);
  await browser.press('Cluster');
  await until('the order is in the address', async () =>
    (await browser.run('return location.search')).includes('sort=name'),
  );
  const shown = await names(browser);
  assert.deepEqual(shown, [...shown].sort());
  await browser.type('#filter', 'expires:soon');
  await browser.sees('give hours, days or weeks');
});

test('ten thousand clusters: few rows are drawn, and the keyboard reaches the last one', async () => {
  const { browser } = shared;
  await visit(shared, '/?sort=name', { clusters: 10_000 });
  await browser.sees('10,000 clusters');
  assert.ok((await names(browser)).length < 60, 'too many rows are drawn');
  await browser.keys('/');
  await until('the filter has the focus', async () => (await browser.focused()) === 'Filter');
  await browser.keys(KEYS.Down, KEYS.Down);
  await until('the second row has the focus', () => browser.run('return document.activeElement.dataset.index === "1"'));
  await browser.keys(KEYS.End);
  await until('the last row has the focus', () =>
    browser.run('return document.activeElement.dataset.index === "9999"'),
  );
  assert.ok((await names(browser)).length < 60);
  const inSight =
    'const r = document.activeElement.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight';
  assert.ok(await browser.run(inSight), 'the last row is not in sight');
  await browser.keys(KEYS.Home);
  await until('the first row has the focus', () => browser.run('return document.activeElement.dataset.index === "0"'));
});

test('it is live by events, without polling', async () => {
  const { browser, mock } = shared;
  await visit(shared, '/', { clusters: 3 });
  await browser.waits('[data-cluster=prod-frankfurt].is-healthy');
  mock.world.breakHop('prod-frankfurt', 'Dns');
  await browser.waits('[data-cluster=prod-frankfurt].is-unhealthy');
  mock.world.remove('staging-dublin');
  await browser.gone('[data-cluster=staging-dublin]');
  mock.world.measure();
  const lists = mock.seen.filter((one) => one === 'GET /api/v1/fleet');
  assert.equal(lists.length, 1, `the fleet was listed ${lists.length} times`);
  const streams = mock.seen.filter((one) => one.startsWith('GET /api/v1/events'));
  assert.equal(streams.length, 1);
});

test('the gateway goes away and comes back', async () => {
  const { browser, mock } = shared;
  shared.expected = [/./];
  await visit(shared, '/', { clusters: 3 });
  await browser.waits('.fleet-row');
  await fetch(`${mock.url}/mock/server`, { method: 'POST', body: '{"offline":true}' });
  await browser.sees('What you see is as old as that');
  assert.equal((await names(browser)).length, 3, 'what was known is gone');
  mock.world.breakHop('prod-frankfurt', 'Dns');
  await fetch(`${mock.url}/mock/server`, { method: 'POST', body: '{"offline":false}' });
  await browser.press('Connect now');
  await browser.waits('[data-cluster=prod-frankfurt].is-unhealthy');
  await browser.gone('.banner');
});

test('views are kept in the browser', async () => {
  const { browser, mock } = shared;
  await visit(shared, '/?q=env%3Dprod&sort=-latency', { clusters: 24 });
  await browser.press('Views');
  await browser.press('Save this view…');
  await browser.waits('dialog');
  await browser.write('Production');
  await browser.keys(KEYS.Enter);
  await browser.gone('dialog');
  await browser.open(mock.url);
  await browser.waits('.fleet-row');
  await browser.press('Views');
  await browser.sees('Production', '[role=menu]');
  await browser.run(
    '[...document.querySelectorAll("[role^=menuitem]")].find((e) => e.innerText === "Production").click()',
  );
  await browser.sees('6 of 24 clusters');
  assert.equal(await browser.run('return location.search'), '?q=env%3Dprod&sort=-latency');
});

test('HTML in names, aliases and reasons is only text', async () => {
  const { browser, mock } = shared;
  shared.expected = [/status of 502/];
  await visit(shared, '/', { clusters: 3 });
  await browser.waits('.fleet-row');
  const evil = '<img src=x onerror=alert(1)><script>alert(2)</script>';
  mock.world.change('prod-frankfurt', { alias: evil, reason: evil, status: 'Unhealthy', labels: { a: evil } });
  await browser.sees(evil, '[data-cluster=prod-frankfurt]');
  await browser.click('[data-cluster=prod-frankfurt] a');
  await browser.sees(evil, '.notice');
  assert.equal(await browser.run('return document.querySelectorAll("img").length'), 0);
});

test('alias and labels are edited in place; a conflict is told', async () => {
  const { browser, mock } = shared;
  shared.expected = [/status of 412/];
  await visit(shared, '/clusters/prod-frankfurt', { clusters: 3 });
  await browser.press('Change the alias');
  await browser.type('[aria-label=Alias]', 'x');
  await browser.press('Save');
  await browser.sees('Use 2 to 64 bytes');
  await browser.type('[aria-label=Alias]', 'Frankfurt');
  mock.world.clusters.get('prod-frankfurt').resourceVersion = '77';
  await browser.press('Save');
  await browser.sees('somebody else has changed this cluster');
  await browser.press('Save');
  await browser.sees('The alias is now “Frankfurt”.');
  assert.equal(mock.world.clusters.get('prod-frankfurt').alias, 'Frankfurt');
  await browser.press('Remove the label team');
  await browser.sees('Label team is gone.');
  assert.equal(mock.world.clusters.get('prod-frankfurt').labels.team, undefined);
});

test('who may only look sees nothing to press', async () => {
  const { browser } = shared;
  await visit(shared, '/clusters/prod-frankfurt', { clusters: 3, readOnly: true });
  await browser.sees('Certificates');
  const words = await browser.run('return [...document.querySelectorAll("a, button")].map((e) => e.innerText.trim())');
  for (const word of ['Detach', 'Add a label', 'Join']) assert.equal(words.includes(word), false, word);
  assert.ok(words.includes('Doctor'));
});

test('signing in: a bad token, a good one, and back to where one wanted to go', async () => {
  const { browser } = shared;
  shared.expected = [/status of 401/, /status of 429/];
  await visit(shared, '/clusters/prod-frankfurt', { clusters: 3, login: 'oidc' });
  await browser.sees('Continue with Example SSO');
  await browser.type('[type=password]', 'bad');
  await browser.keys(KEYS.Enter);
  await browser.sees('the hub does not accept this token');
  await browser.type('[type=password]', 'slow down');
  await browser.keys(KEYS.Enter);
  await browser.sees('too many attempts');
  await browser.type('[type=password]', 'good');
  await browser.keys(KEYS.Enter);
  await browser.sees('Certificates');
  assert.equal(await browser.run('return location.pathname'), '/clusters/prod-frankfurt');
  await browser.press('Signed in as alice@example.com');
  await browser.press('Sign out');
  await browser.sees('Continue with Example SSO');
  await browser.click('.button.primary.big');
  await browser.waits('h1');
  await until('we are in', async () => (await browser.run('return location.pathname')) !== '/login');
});

test('an address outside the console is not where signing in leads', async () => {
  const { browser, mock } = shared;
  await visit(shared, '/login?return=//evil.example/', { clusters: 3 });
  await browser.waits('.fleet-row');
  assert.equal(await browser.run('return location.href'), `${mock.url}/`);
});

test('nothing is asked from anywhere else', async () => {
  const { browser, mock } = shared;
  await visit(shared, '/clusters/prod-frankfurt', { clusters: 3 });
  await browser.sees('Certificates');
  const from = await browser.run(
    'return [...new Set(performance.getEntriesByType("resource").map((e) => new URL(e.name).origin))]',
  );
  assert.deepEqual(from, [mock.url]);
});
