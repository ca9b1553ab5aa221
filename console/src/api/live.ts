import { ApiError, type OnEvent, stream } from './client';

export type LiveState = { connected: true } | { connected: false; retryAt: number; message: string };

/** How long to wait before the next attempt, by the number of those that failed in a row. */
export function backoff(failures: number, random: number = Math.random()): number {
  const most = Math.min(15_000, 500 * 2 ** Math.min(failures, 10));
  return most / 2 + (most / 2) * random;
}

/** How long a page may be out of sight before it lets its connection go. */
const HIDDEN = 60_000;

/**
 * Keeps a stream of events open until it is stopped. While nobody looks at the page it is let go: a browser has few
 * connections to a server that speaks HTTP/1.1, and a server has better things to do. `prepare` runs before each attempt and says where to read
 * on from; whatever it throws counts as a failed attempt.
 */
export class Live {
  private readonly stopped = new AbortController();
  private attempt: AbortController | null = null;
  private wake: (() => void) | null = null;
  private paused = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly prepare: (signal: AbortSignal) => Promise<string>,
    private readonly onEvent: OnEvent,
    private readonly onState: (state: LiveState) => void,
  ) {
    const { signal } = this.stopped;
    document.addEventListener('visibilitychange', () => this.look(), { signal });
    window.addEventListener('pagehide', () => this.pause(), { signal });
    window.addEventListener('pageshow', () => this.look(), { signal });
    void this.run();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.stopped.abort();
    this.again();
  }

  /** Begins anew at once: after `gone`, or when somebody asks for it. */
  again(): void {
    this.attempt?.abort();
    this.wake?.();
  }

  private look(): void {
    clearTimeout(this.timer);
    if (document.hidden) this.timer = setTimeout(() => this.pause(), HIDDEN);
    else if (this.paused) {
      this.paused = false;
      this.wake?.();
    }
  }

  private pause(): void {
    this.paused = true;
    this.attempt?.abort();
  }

  private async run(): Promise<void> {
    let failures = 0;
    while (!this.stopped.signal.aborted) {
      if (this.paused) {
        await this.sleep(null);
        continue;
      }
      this.attempt = new AbortController();
      const { signal } = this.attempt;
      let message = 'The connection to the gateway broke off.';
      try {
        const path = await this.prepare(signal);
        await stream(
          path,
          (event, data) => {
            failures = 0;
            this.onState({ connected: true });
            this.onEvent(event, data);
          },
          { signal },
        );
      } catch (error) {
        if (this.stopped.signal.aborted) return;
        if (signal.aborted) continue;
        if (error instanceof ApiError) {
          message = error.message;
          if (error.status === 401 || error.status === 404) return;
        }
      }
      const wait = backoff(failures);
      failures += 1;
      this.onState({ connected: false, retryAt: Date.now() + wait, message });
      await this.sleep(wait);
    }
  }

  /** Until the time is over, if there is one, or somebody wakes us. */
  private sleep(wait: number | null): Promise<void> {
    return new Promise((resolve) => {
      const timer = wait === null ? undefined : setTimeout(resolve, wait);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
