import { useCallback, useEffect, useState } from 'preact/hooks';
import { ApiError, request } from '../api/client';

export interface Loaded<T> {
  value: T | null;
  error: ApiError | null;
  busy: boolean;
  reload: () => void;
}

/** Reads a route when the page opens, and again when asked to. What was there stays until something new is. */
export function useLoad<T>(path: string): Loaded<T> {
  const [turn, setTurn] = useState(0);
  const [state, setState] = useState<{ path: string; value: T | null; error: ApiError | null; busy: boolean }>({
    path,
    value: null,
    error: null,
    busy: true,
  });
  // `turn` is there to read again.
  useEffect(() => {
    const stop = new AbortController();
    setState((old) => (old.path === path ? { ...old, busy: true } : { path, value: null, error: null, busy: true }));
    request<T>(path, { signal: stop.signal }).then(
      (value) => setState({ path, value, error: null, busy: false }),
      (error: unknown) => {
        if (stop.signal.aborted) return;
        const failure = error instanceof ApiError ? error : new ApiError(0, 0, String(error));
        setState((old) => ({ ...old, error: failure, busy: false }));
      },
    );
    return () => stop.abort();
  }, [path, turn]);
  return { ...state, reload: useCallback(() => setTurn((old) => old + 1), []) };
}
