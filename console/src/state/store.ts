import { useLayoutEffect, useState } from 'preact/hooks';

/** A value that tells who looks at it when it changes. */
export class Store<T> {
  private readonly listeners = new Set<() => void>();

  constructor(private value: T) {}

  get(): T {
    return this.value;
  }

  set(value: T): void {
    if (Object.is(value, this.value)) return;
    this.value = value;
    for (const listener of this.listeners) listener();
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

/** The store's value; draws again when it changes. */
export function useStore<T>(store: Store<T>): T {
  const [, draw] = useState({});
  const drawn = store.get();
  // Not useEffect, which runs after painting: what changes until then would be missed.
  useLayoutEffect(() => {
    if (!Object.is(drawn, store.get())) draw({});
    return store.subscribe(() => draw({}));
    // Only the first drawing can have missed something.
  }, [store]);
  return drawn;
}
