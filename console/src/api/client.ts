import { EventParser } from './sse';
import type { ErrorBody } from './types';

/** A failure that the API, or the way to it, has given; `message` can be shown to people. */
export class ApiError extends Error {
  constructor(
    /** HTTP's status; 0 if there was no answer. */
    readonly status: number,
    readonly code: number,
    message: string,
    readonly remedy: string = '',
    readonly field: string = '',
  ) {
    super(message);
  }

  get offline(): boolean {
    return this.status === 0;
  }
}

/** How long an ordinary request may take. */
const DEADLINE = 30_000;
/** How long a stream may be silent; the server says something every 10 s. */
const SILENCE = 30_000;

let csrfToken = '';
let signedOut: () => void = () => {};

/** What every changing request carries from now on. */
export function setCsrfToken(token: string): void {
  csrfToken = token;
}

/** Who is told that the session has ended. */
export function onSignedOut(listener: () => void): void {
  signedOut = listener;
}

export interface Options {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  body?: unknown;
  ifMatch?: string;
  signal?: AbortSignal;
}

/** The path of a route of one cluster. */
export function clusterPath(area: 'fleet' | 'clusters', name: string, part = ''): string {
  return `/api/v1/${area}/${encodeURIComponent(name)}${part ? `/${part}` : ''}`;
}

/** Asks the API; throws an `ApiError`. */
export async function request<T>(path: string, options: Options = {}): Promise<T> {
  const deadline = AbortSignal.timeout(DEADLINE);
  const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline;
  const response = await send(path, options, signal, 'application/json');
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, 0, 'The answer broke off.', 'Try again.');
  }
}

async function send(path: string, options: Options, signal: AbortSignal, accept: string): Promise<Response> {
  const headers: Record<string, string> = { accept };
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  if (options.ifMatch) headers['if-match'] = `"${options.ifMatch}"`;
  if (options.method && options.method !== 'GET') headers['x-csrf-token'] = csrfToken;
  let response: Response;
  try {
    response = await fetch(path, {
      method: options.method ?? 'GET',
      headers,
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal,
      credentials: 'same-origin',
      cache: 'no-store',
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    if (signal.aborted) throw new ApiError(0, 0, 'The gateway has not answered within 30 s.', 'Try again.');
    throw new ApiError(
      0,
      0,
      'The gateway cannot be reached.',
      'Check your connection; the console tries again by itself.',
    );
  }
  if (response.ok) return response;
  const error = await readError(response);
  if (response.status === 401 && path !== '/api/v1/session') signedOut();
  throw error;
}

async function readError(response: Response): Promise<ApiError> {
  try {
    const body = (await response.json()) as Partial<ErrorBody>;
    if (body.Message) {
      return new ApiError(response.status, body.BusinessCode ?? 0, body.Message, body.Remedy, body.Field);
    }
  } catch {
    // No JSON: something between the browser and the gateway has answered.
  }
  return new ApiError(response.status, 0, `The answer was ${response.status} ${response.statusText}`.trim());
}

/** Called with the name and the content of each event. */
export type OnEvent = (event: string, data: unknown) => void;

/** Reads a stream of events to its end; throws an `ApiError` if it cannot be had or breaks off. */
export async function stream(path: string, onEvent: OnEvent, options: Options = {}): Promise<void> {
  const silent = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, silent.signal]) : silent.signal;
  let timer = setTimeout(() => silent.abort(), SILENCE);
  try {
    const response = await send(path, options, signal, 'text/event-stream');
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new EventParser();
    for (;;) {
      const piece = await reader?.read();
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENCE);
      if (!piece || piece.done) return;
      for (const { event, data } of parser.push(piece.value)) onEvent(event, JSON.parse(data));
    }
  } catch (error) {
    if (options.signal?.aborted || error instanceof ApiError) throw error;
    throw new ApiError(0, 0, 'The connection to the gateway broke off.', 'The console tries again by itself.');
  } finally {
    clearTimeout(timer);
  }
}
