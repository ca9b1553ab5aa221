// npm run mock -- --clusters 24 --port 4173 --login oidc --mode standalone --read-only
import { parseArgs } from 'node:util';
import { start } from './server.js';

const { values } = parseArgs({
  options: {
    clusters: { type: 'string', default: '24' },
    port: { type: 'string', default: '4173' },
    login: { type: 'string', default: 'none' },
    mode: { type: 'string', default: 'hub' },
    'read-only': { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
  },
});

const mock = await start({
  port: Number(values.port),
  clusters: Number(values.clusters),
  login: values.login,
  mode: values.mode,
  readOnly: values['read-only'],
  quiet: values.quiet,
});
console.log(`the mock listens on ${mock.url}; the console is there if it has been built`);
