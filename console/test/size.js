// The first load, compressed, must stay under the budget; so nobody makes the console heavy without noticing.
import { readdir, readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { dist } from '../dist.js';

const BUDGET = 150 * 1024;
let total = 0;
for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || /\.(br|gz)$/.test(entry.name)) continue;
  const bytes = gzipSync(await readFile(`${entry.parentPath ?? entry.path}/${entry.name}`), { level: 9 }).length;
  total += bytes;
  console.log(`${String(bytes).padStart(8)}  ${entry.name}`);
}
console.log(`${String(total).padStart(8)}  in all, of ${BUDGET}`);
if (total > BUDGET) {
  console.error('The console is over its budget.');
  process.exitCode = 1;
}
