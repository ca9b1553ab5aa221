import { useEffect } from 'preact/hooks';
import { Store, useStore } from '../state/store';
import { Icon } from './icons';

interface Message {
  text: string;
  action?: { label: string; run: () => void };
}

const message = new Store<Message | null>(null);

/** Tells something in passing; the next one takes its place. */
export function toast(text: string, action?: Message['action']): void {
  message.set(action ? { text, action } : { text });
}

export function Toasts() {
  const current = useStore(message);
  useEffect(() => {
    if (!current) return;
    const timer = setTimeout(() => message.set(null), current.action ? 12_000 : 5000);
    return () => clearTimeout(timer);
  }, [current]);
  return (
    <div class="toasts" role="status">
      {current && (
        <div class="toast">
          <Icon name="check" />
          <span>{current.text}</span>
          {current.action && (
            <button
              type="button"
              class="button small"
              onClick={() => {
                current.action?.run();
                message.set(null);
              }}
            >
              {current.action.label}
            </button>
          )}
        </div>
      )}
    </div>
  );
}
