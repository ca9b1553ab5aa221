import { readFile, stat } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { gzipSync } from 'node:zlib';

// What the gateway sends with every page. The browser tests run under it, so a page that needs more fails there.
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

/** Answers JSON, compressed when it is big. */
export function json(request, response, status, body, headers = {}) {
  const bytes = Buffer.from(JSON.stringify(body));
  const compress = bytes.length > 4096 && /gzip/.test(request.headers['accept-encoding'] ?? '');
  response.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    ...(compress ? { 'content-encoding': 'gzip' } : {}),
    ...headers,
  });
  response.end(compress ? gzipSync(bytes, { level: 1 }) : bytes);
}

/** Answers an error in VelaUX's form. */
export function refuse(request, response, status, BusinessCode, Message, Remedy) {
  json(request, response, status, { BusinessCode, Message, ...(Remedy ? { Remedy } : {}) });
}

/** Reads a JSON body of bounded size. */
export async function body(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > 8 * 1024 * 1024) throw new Error('too large');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString() || '{}');
}

/** Begins a stream of server-sent events; `send` writes one. */
export function events(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.flushHeaders();
  return (event, data) => response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

/** Serves the built console; every path that is no file is the page itself. */
export async function page(response, path, root) {
  let file = join(root, normalize(path));
  const isFile =
    file.startsWith(root) &&
    (await stat(file).then(
      (found) => found.isFile(),
      () => false,
    ));
  if (!isFile) file = join(root, 'index.html');
  const bytes = await readFile(file).catch(() => null);
  if (!bytes) {
    response.writeHead(404, { 'content-type': 'text/plain' });
    response.end('There is no build of the console: npm run build\n');
    return;
  }
  response.writeHead(200, {
    'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    'content-encoding': 'gzip',
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
  });
  response.end(gzipSync(bytes));
}
