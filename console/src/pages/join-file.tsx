import { useRef, useState } from 'preact/hooks';
import { ApiError, request } from '../api/client';
import type { Contexts } from '../api/types';
import { bytes } from '../logic/format';
import { Code, Problem } from '../ui/basics';
import { Icon } from '../ui/icons';
import type { Wish } from './join';

const MOST = 1024 * 1024;

interface FileProps {
  wish: Wish;
  onNext: (part: Partial<Wish>) => void;
}

/** The first step: a kubeconfig, pasted, dropped or picked. */
export function JoinFile({ wish, onNext }: FileProps) {
  const [text, setText] = useState(wish.kubeConfig);
  const [fileName, setFileName] = useState(wish.fileName);
  const [over, setOver] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const picker = useRef<HTMLInputElement>(null);

  const take = async (file: File | undefined) => {
    setOver(false);
    if (!file) return;
    if (file.size > MOST) {
      setError(tooLarge(file.size));
      return;
    }
    setError(null);
    setFileName(file.name);
    setText(await file.text());
  };

  const read = async (event: Event) => {
    event.preventDefault();
    if (text.length > MOST) return setError(tooLarge(text.length));
    setBusy(true);
    setError(null);
    try {
      const contexts = await request<Contexts>('/api/v1/join/contexts', { method: 'POST', body: { kubeConfig: text } });
      onNext({ kubeConfig: text, fileName, contexts, context: '', name: '' });
    } catch (failure) {
      setError(failure instanceof ApiError ? failure : new ApiError(0, 0, String(failure)));
      setBusy(false);
    }
  };

  return (
    <form class="stack" onSubmit={read}>
      <p class="lead">
        Bring the kubeconfig of the cluster’s administrator. It is used to look and to make a smaller account; with that
        account, it is not kept.
      </p>
      <div
        class={over ? 'drop is-over' : 'drop'}
        role="group"
        aria-label="Kubeconfig"
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          void take(event.dataTransfer?.files[0]);
        }}
      >
        <textarea
          value={text}
          aria-label="Kubeconfig"
          placeholder="Paste a kubeconfig here, or drop its file"
          spellcheck={false}
          autocomplete="off"
          rows={12}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setFileName('');
            setError(null);
          }}
        />
        <div class="drop-foot">
          <button type="button" class="button small" onClick={() => picker.current?.click()}>
            <Icon name="file" />
            Choose a file
          </button>
          <span class="muted">{fileName || (text ? bytes(text.length) : 'or drop it on the field')}</span>
          <input
            ref={picker}
            type="file"
            class="sr-only"
            tabIndex={-1}
            aria-hidden="true"
            onChange={(event) => void take(event.currentTarget.files?.[0])}
          />
        </div>
      </div>
      {error && <Problem error={error} />}
      <div class="actions">
        <button type="submit" class="button primary" disabled={busy || !text.trim()}>
          {busy ? 'Reading…' : 'Continue'}
        </button>
      </div>
      <p class="hint">No file at hand? This prints one with everything in it:</p>
      <Code text="kubectl config view --flatten --minify --context NAME" label="Command that prints a kubeconfig" />
    </form>
  );
}

function tooLarge(size: number): ApiError {
  return new ApiError(
    413,
    0,
    `That is ${bytes(size)}; a kubeconfig may have ${bytes(MOST)}.`,
    'Take only the context that is to be joined: kubectl config view --flatten --minify --context NAME',
  );
}
