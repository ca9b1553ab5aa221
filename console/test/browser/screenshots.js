// Takes the pictures in docs/console: every page, light and dark, and some as a telephone shows them.
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { start } from '../../mock/server.js';
import { scenes } from './scenes.js';
import { openBrowser } from './webdriver.js';

const OUT = fileURLToPath(new URL('../../../docs/console/', import.meta.url));
const wanted = process.argv[2];

await mkdir(OUT, { recursive: true });
const browser = await openBrowser();
const mock = await start({ quiet: true });
try {
  for (const scene of scenes) {
    if (wanted && !scene.name.includes(wanted)) continue;
    for (const colours of ['light', 'dark']) {
      for (const [suffix, width, height] of [['', 1440, 900], ...(scene.narrow ? [['-360', 360, 740]] : [])]) {
        await browser.size(width, height);
        await browser.colours(colours);
        await scene.show(browser, mock);
        await browser.runAsync('const done = arguments[0]; document.fonts.ready.then(() => setTimeout(done, 350))');
        const file = `${scene.name}${suffix}-${colours}.png`;
        await writeFile(OUT + file, await browser.picture());
        console.log(file);
      }
    }
  }
  // A third of the size, if that program is there; it does without.
  const files = (await readdir(OUT)).filter((file) => file.endsWith('.png')).map((file) => OUT + file);
  spawnSync('pngquant', ['--force', '--ext', '.png', '--skip-if-larger', '--strip', ...files]);
} finally {
  await browser.close();
  await mock.stop();
}
