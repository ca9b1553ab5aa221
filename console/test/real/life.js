// The life of a cluster in a real browser at a real server: node life.js URL NAME. The token and the kubeconfig come by the
// environment. Whoever started it breaks and repairs the member when it says so on standard output, and answers with a line.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline/promises';
import { paste } from '../browser/scenes.js';
import { KEYS, openBrowser, until } from '../browser/webdriver.js';

const [url, name] = process.argv.slice(2);
const { CONSOLE_TOKEN: token, CONSOLE_KUBECONFIG: kubeconfig, CONSOLE_PICTURES: pictures } = process.env;
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RUN_AXE = `const done = arguments[0];
axe.run(document, { resultTypes: ['violations'] }).then(
  (found) => done(found.violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => v.id + ': ' + v.nodes.map((n) => n.target.join(' ')).slice(0, 4).join('; '))),
  (error) => done(['axe failed: ' + error]))`;

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const browser = await openBrowser();
const ROW = `[data-cluster=${name}]`;

/** Has somebody outside do something to the member. */
async function please(what) {
  console.log(`please ${what}`);
  const { value } = await lines.next();
  assert.equal(value, `done ${what}`);
}

/** What axe finds in what is shown now, and a picture of it. */
async function look(at) {
  await browser.runAsync('const done = arguments[0]; setTimeout(done, 350)');
  await browser.run(axe);
  assert.deepEqual(await browser.runAsync(RUN_AXE), [], `axe: ${at}`);
  if (pictures) await writeFile(`${pictures}/${at}.png`, await browser.picture());
  console.log(`seen ${at}`);
}

async function life() {
  await browser.open(url);
  await browser.waits('[type=password]');
  await look('login');
  await browser.type('[type=password]', token);
  await browser.keys(KEYS.Enter);
  await browser.sees('Join your first cluster');
  await look('empty');

  await browser.press('Join a cluster');
  await paste(browser, await readFile(kubeconfig, 'utf8'));
  await browser.press('Continue');
  await browser.type('[aria-describedby=name-help]', name);
  await browser.press('Check');
  await browser.waits('[data-hop=Upgrade]:not([data-outcome=Failed])');
  await until('a join that is possible', () =>
    browser.run('return ![...document.querySelectorAll(".primary")].at(-1).disabled'),
  );
  await look('plan');
  await browser.press(`Join ${name}`);
  await browser.waits('.comes-up[data-health=healthy]');
  await look('joined');
  await browser.press(`Open ${name}`);
  await browser.waits('[data-health=healthy]');
  await look('cluster');

  await please('break');
  await browser.waits('[data-health=unhealthy]');
  await look('broken');
  await browser.press('Find out why');
  await browser.waits('[data-outcome=Failed]');
  await browser.waits('[data-hop=Upgrade][data-outcome=Skipped]');
  await look('doctor');

  await browser.press('Fleet');
  await browser.sees('Unhealthy', ROW);
  await please('repair');
  await browser.waits(`${ROW}.is-healthy`);
  await look('fleet');

  await browser.click(`${ROW} a`);
  await browser.press('Detach');
  await browser.sees(`/${name}`, 'dialog');
  await look('detach');
  await browser.type('dialog input[type=text]', name);
  await browser.click('.button.danger');
  await browser.sees('Join your first cluster');

  const complaints = await browser.complaints();
  assert.deepEqual(
    complaints.filter((one) => !/status of (401|502|504)/.test(one)),
    [],
    'the browser has logged errors',
  );
  console.log('the whole life');
}

try {
  await life();
} catch (error) {
  console.error(error);
  console.error(await browser.run('return document.body.innerText').catch(String));
  process.exitCode = 1;
} finally {
  await browser.close();
  process.stdin.destroy();
}
