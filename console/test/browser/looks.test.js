// Every page, in light and dark: no serious finding of axe-core, nothing that overflows, nothing the policy refuses.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { harness } from './harness.js';
import { scenes } from './scenes.js';

const shared = harness();
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const RUN_AXE = `const done = arguments[0];
axe.run(document, { resultTypes: ['violations'] }).then(
  (found) => done(found.violations.map((v) => v.impact + ' ' + v.id + ': ' + v.nodes.map((n) => n.target.join(' ') + ' ' + (n.any[0]?.message ?? n.all[0]?.message ?? '')).slice(0, 4).join('; '))),
  (error) => done(['axe failed: ' + error]))`;

const OVERFLOW = `const wide = document.documentElement.clientWidth;
const clipped = (e) => { for (let p = e.parentElement; p && p !== document.body; p = p.parentElement) { const s = getComputedStyle(p); if (s.overflowX !== 'visible' || s.clipPath !== 'none') return true; } return getComputedStyle(e).clipPath !== 'none'; };
const out = [...document.querySelectorAll('body *')].filter((e) => { const r = e.getBoundingClientRect(); return r.width > 0 && (r.right > wide + 1 || r.left < -1) && !clipped(e); });
return [...out.slice(0, 5).map((e) => e.tagName + '.' + e.getAttribute('class')), ...(document.documentElement.scrollWidth > wide ? ['the page scrolls sideways'] : []), ...[...document.querySelectorAll('dialog, .panel')].filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.getAttribute('class') + ' scrolls sideways')]`;

/** Until what was changed is drawn, colours that fade included. */
function settle(browser) {
  return browser.runAsync('const done = arguments[0]; setTimeout(done, 350)');
}

for (const scene of scenes) {
  test(`${scene.name} looks right`, async () => {
    const { browser, mock } = shared;
    shared.expected = [/Failed to load resource/];
    await browser.size(1440, 900);
    await scene.show(browser, mock);
    await browser.run(axe);
    for (const colours of ['light', 'dark']) {
      await browser.colours(colours);
      await settle(browser);
      assert.deepEqual(await browser.runAsync(RUN_AXE), [], `axe, ${colours}`);
    }
    for (const width of [1440, 768, 360]) {
      await browser.size(width, 800);
      await settle(browser);
      assert.deepEqual(await browser.run(OVERFLOW), [], `at ${width} px`);
    }
  });
}

const JUMPS = `const done = arguments[0];
let sum = 0;
new PerformanceObserver((list) => { for (const e of list.getEntries()) sum += e.value; }).observe({ type: 'layout-shift', buffered: true });
setTimeout(() => done(sum), 400)`;

for (const path of ['/', '/clusters/dev-mumbai-03', '/join']) {
  test(`nothing jumps while ${path} loads slowly`, async () => {
    const { browser, mock } = shared;
    mock.world.reset({ quiet: true, clusters: 24 });
    mock.world.server = { offline: false, slow: 300, failing: new Set() };
    for (const width of [1440, 360]) {
      await browser.size(width, 900);
      await browser.open(mock.url + path);
      await browser.sees(path === '/' ? '24 clusters' : path === '/join' ? 'Continue' : 'Storage classes');
      const sum = await browser.runAsync(JUMPS);
      assert.ok(sum < 0.05, `the layout shifts by ${sum} at ${width} px`);
    }
  });
}
