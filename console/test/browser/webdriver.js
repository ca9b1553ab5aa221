// A small client of the W3C WebDriver protocol: what these tests need, on plain fetch.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';
export const KEYS = {
  Tab: '\uE004',
  Enter: '\uE007',
  Shift: '\uE008',
  Escape: '\uE00C',
  Space: ' ',
  End: '\uE010',
  Home: '\uE011',
  Up: '\uE013',
  Down: '\uE015',
};

/** How long a condition may take to become true. */
const PATIENCE = 10_000;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Asks until the answer is neither false nor an error. */
export async function until(what, ask, patience = PATIENCE) {
  const end = Date.now() + patience;
  let last;
  for (;;) {
    try {
      const answer = await ask();
      if (answer) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${patience} ms; last: ${last?.message ?? last}`);
    await pause(50);
  }
}

/** Starts chromedriver and one browser in it. */
export async function openBrowser({ width = 1440, height = 900 } = {}) {
  const driver = spawn(process.env.CHROMEDRIVER ?? 'chromedriver', ['--port=0'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const profile = await mkdtemp(join(tmpdir(), 'console-'));
  const base = await new Promise((resolve, reject) => {
    let heard = '';
    driver.on('error', reject);
    driver.on('exit', (code) => reject(new Error(`chromedriver ended with ${code}: ${heard}`)));
    driver.stdout.on('data', (piece) => {
      heard += piece;
      const port = /successfully on port (\d+)/.exec(heard)?.[1];
      if (port) resolve(`http://127.0.0.1:${port}`);
    });
  });
  const args = [
    '--headless=new',
    '--disable-dev-shm-usage',
    '--disable-gpu',
    '--lang=en-GB',
    `--user-data-dir=${profile}`,
  ];
  // Chromium refuses its sandbox to root, which is who runs CI.
  if (process.getuid?.() === 0) args.push('--no-sandbox');
  const capabilities = {
    alwaysMatch: {
      browserName: 'chrome',
      timeouts: { script: 60_000 },
      'goog:chromeOptions': { args, ...(process.env.CHROMIUM ? { binary: process.env.CHROMIUM } : {}) },
      'goog:loggingPrefs': { browser: 'ALL' },
    },
  };
  const { sessionId } = await call(base, 'POST', '/session', { capabilities });
  const browser = new Browser(`${base}/session/${sessionId}`, async () => {
    driver.removeAllListeners('exit');
    driver.kill();
    await new Promise((resolve) => driver.once('close', resolve));
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  await browser.size(width, height);
  return browser;
}

async function call(base, method, path, body) {
  const response = await fetch(base + path, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
  return value;
}

class Browser {
  constructor(session, end) {
    this.session = session;
    this.end = end;
  }

  get(path) {
    return call(this.session, 'GET', path);
  }

  post(path, body = {}) {
    return call(this.session, 'POST', path, body);
  }

  /** Chromium's own protocol, for what WebDriver has no word for. */
  devtools(cmd, params = {}) {
    return this.post('/goog/cdp/execute', { cmd, params });
  }

  async close() {
    await call(this.session, 'DELETE', '').catch(() => {});
    await this.end();
  }

  /** The size of the page, not of a window around it. */
  size(width, height) {
    return this.devtools('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
  }

  /** What the system prefers: `light` or `dark`. */
  colours(value) {
    return this.devtools('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
  }

  open(url) {
    return this.post('/url', { url });
  }

  run(script, ...args) {
    return this.post('/execute/sync', { script, args });
  }

  /** A script that gets a function `done` as its last argument. */
  runAsync(script, ...args) {
    return this.post('/execute/async', { script, args });
  }

  async find(selector) {
    return (await this.post('/element', { using: 'css selector', value: selector }))[ELEMENT];
  }

  /** Waits for the visible text of the page, or of a part of it. */
  sees(text, selector = 'body') {
    return until(`“${text}” in ${selector}`, async () => {
      const shown = await this.run(
        'return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText).join("\\n")',
        selector,
      );
      return shown.includes(text);
    });
  }

  waits(selector) {
    return until(`an element ${selector}`, () =>
      this.run('return document.querySelector(arguments[0]) !== null', selector),
    );
  }

  gone(selector) {
    return until(`no element ${selector}`, () =>
      this.run('return document.querySelector(arguments[0]) === null', selector),
    );
  }

  async click(selector) {
    await until(`a click on ${selector}`, async () => {
      await this.post(`/element/${await this.find(selector)}/click`);
      return true;
    });
  }

  /** Clicks on the button or link of this name. */
  async press(name) {
    await until(`a click on “${name}”`, async () => {
      const value = `//*[self::button or self::a or @role="menuitem"][normalize-space()="${name}" or @aria-label="${name}"]`;
      const element = (await this.post('/element', { using: 'xpath', value }))[ELEMENT];
      await this.post(`/element/${element}/click`);
      return true;
    });
  }

  async type(selector, text) {
    const element = await until(`an element ${selector}`, () => this.find(selector));
    await this.post(`/element/${element}/clear`);
    await this.post(`/element/${element}/value`, { text });
  }

  /** Presses keys one after the other, wherever the focus is. */
  async keys(...keys) {
    const actions = keys.flatMap((value) => [
      { type: 'keyDown', value },
      { type: 'keyUp', value },
    ]);
    await this.post('/actions', { actions: [{ type: 'key', id: 'keyboard', actions }] });
  }

  /** Types text with single keys, wherever the focus is. */
  write(text) {
    return this.keys(...text);
  }

  /** Words that name what has the focus. */
  focused() {
    return this.run(
      'const e = document.activeElement; return e ? (e.getAttribute("aria-label") || e.innerText || e.placeholder || e.tagName).trim() : ""',
    );
  }

  /** Presses Tab until what has the focus is called like this. */
  async tabTo(name, most = 60) {
    const met = [];
    for (let turn = 0; turn < most; turn += 1) {
      await this.keys(KEYS.Tab);
      const here = await this.focused();
      met.push(here.split('\n')[0]);
      if (here === name || (name instanceof RegExp && name.test(here))) return;
    }
    throw new Error(`Tab never came to ${name}; it came to: ${met.join(' | ')}`);
  }

  /** A screenshot of what is in sight, as PNG. */
  async picture() {
    return Buffer.from(await this.get('/screenshot'), 'base64');
  }

  /** Errors and refusals of the Content-Security-Policy since the last call. */
  async complaints() {
    const entries = await this.post('/se/log', { type: 'browser' });
    return entries.filter((entry) => entry.level === 'SEVERE').map((entry) => entry.message);
  }
}
