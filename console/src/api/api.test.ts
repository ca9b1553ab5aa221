import { afterEach, describe, expect, test, vi } from 'vitest';
import { ApiError, clusterPath, onSignedOut, request, setCsrfToken, stream } from './client';
import { backoff } from './live';
import { EventParser } from './sse';

afterEach(() => vi.unstubAllGlobals());

function answer(body: BodyInit | null, init: ResponseInit = {}) {
  const fetch = vi.fn(async (_path: string, _options: RequestInit) => new Response(body, init));
  vi.stubGlobal('fetch', fetch);
  return fetch;
}

async function failure(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.catch((one: unknown) => one);
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

describe('server-sent events', () => {
  const text = 'event: changed\ndata: {"a":1}\n\n: a comment\nevent: alive\ndata: {}\n\n';
  const both = [
    { event: 'changed', data: '{"a":1}' },
    { event: 'alive', data: '{}' },
  ];

  test('wherever the text is cut, the events are the same', () => {
    for (const all of [text, text.replaceAll('\n', '\r\n')]) {
      for (let cut = 0; cut <= all.length; cut += 1) {
        const parser = new EventParser();
        expect([...parser.push(all.slice(0, cut)), ...parser.push(all.slice(cut))], `cut at ${cut}`).toEqual(both);
      }
    }
  });

  test('lines of data are joined; an event without data is none', () => {
    expect(new EventParser().push('data: a\ndata:b\n\nevent: x\n\n')).toEqual([{ event: 'message', data: 'a\nb' }]);
  });

  test('a stream hands on each event, and says when it breaks off', async () => {
    answer(text);
    const seen: string[] = [];
    await stream('/x', (event) => seen.push(event));
    expect(seen).toEqual(['changed', 'alive']);
    const broken = new ReadableStream({ start: (controller) => controller.error(new TypeError('reset')) });
    answer(broken);
    expect((await failure(stream('/x', () => {}))).offline).toBe(true);
  });
});

describe('requests', () => {
  test('an error says what the server said', async () => {
    answer('{"BusinessCode":41412,"Message":"changed","Remedy":"look"}', { status: 412 });
    const error = await failure(request('/x'));
    expect([error.status, error.code, error.message, error.remedy]).toEqual([412, 41412, 'changed', 'look']);
  });

  test('an error that is no JSON still has words', async () => {
    answer('<html>', { status: 502, statusText: 'Bad Gateway' });
    expect((await failure(request('/x'))).message).toBe('The answer was 502 Bad Gateway');
  });

  test('no answer is told as being offline', async () => {
    vi.stubGlobal('fetch', async () => Promise.reject(new TypeError('failed')));
    expect((await failure(request('/x'))).offline).toBe(true);
  });

  test('an answer that breaks off is no success', async () => {
    answer('{"a":');
    expect((await failure(request('/x'))).message).toBe('The answer broke off.');
  });

  test('what changes something carries the CSRF token and the version, what reads does not', async () => {
    setCsrfToken('secret');
    const fetch = answer('{}');
    await request('/x', { method: 'PUT', body: {}, ifMatch: '7' });
    await request('/x');
    const [changing, reading] = fetch.mock.calls.map(([, options]) => options.headers as Record<string, string>);
    expect(changing).toMatchObject({ 'x-csrf-token': 'secret', 'if-match': '"7"', 'content-type': 'application/json' });
    expect(reading).not.toHaveProperty('x-csrf-token');
  });

  test('401 ends the session, except where one signs in', async () => {
    const ended = vi.fn();
    onSignedOut(ended);
    answer('{}', { status: 401 });
    await failure(request('/api/v1/session', { method: 'POST', body: {} }));
    expect(ended).not.toHaveBeenCalled();
    await failure(request('/api/v1/fleet'));
    expect(ended).toHaveBeenCalledOnce();
  });

  test('names cannot leave their place in a path', () => {
    expect(clusterPath('fleet', '../session?x', 'events')).toBe('/api/v1/fleet/..%2Fsession%3Fx/events');
  });
});

test('attempts come less and less often, but at least every 15 s', () => {
  const waits = [0, 1, 2, 3, 8, 100].map((failures) => backoff(failures, 1));
  expect(waits).toEqual([500, 1000, 2000, 4000, 15_000, 15_000]);
  expect(backoff(3, 0)).toBe(2000);
});
