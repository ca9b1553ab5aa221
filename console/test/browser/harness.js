// What the browser tests share: one browser and one mock for each file.
import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import { start } from '../../mock/server.js';
import { openBrowser } from './webdriver.js';

/** Starts both before the tests of a file, and fails a test whose page has logged an error it did not expect. */
export function harness() {
  const shared = { browser: null, mock: null, expected: [] };
  before(async () => {
    shared.mock = await start({ quiet: true });
    shared.browser = await openBrowser();
  });
  afterEach(async () => {
    const complaints = (await shared.browser.complaints()).filter(
      (one) => !shared.expected.some((pattern) => pattern.test(one)),
    );
    shared.expected = [];
    assert.deepEqual(complaints, [], 'the browser has logged errors');
  });
  after(async () => {
    await shared.browser?.close();
    await shared.mock?.stop();
  });
  return shared;
}

/** Begins with a fleet of its own. */
export async function visit({ browser, mock }, path, options = {}) {
  // Away from the last page first: its connection must not count as this one's.
  await browser.run('try { localStorage.clear() } catch {}');
  await browser.open('about:blank');
  mock.world.reset({ quiet: true, ...options });
  mock.world.server = { offline: false, slow: 0, failing: new Set() };
  mock.seen.length = 0;
  await browser.size(1440, 900);
  await browser.open(mock.url + path);
}
