import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api/client';
import type { FleetCluster } from '../api/types';
import { aliasProblem, labelProblem, parseLabel } from '../logic/names';
import { change } from '../state/cluster';
import { Icon } from './icons';
import { toast } from './toast';

function words(error: unknown): string {
  return error instanceof ApiError ? `${error.message}. ${error.remedy}` : String(error);
}

/** The cluster's display name, which becomes a field when it is to be changed. */
export function AliasEditor({ cluster, allowed }: { cluster: FleetCluster; allowed: boolean }) {
  const [draft, setDraft] = useState<string | null>(null);
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const editing = draft !== null;
  useLayoutEffect(() => {
    if (editing && !busy) field.current?.focus();
  }, [editing, busy]);
  const leave = () => {
    setDraft(null);
    setError('');
    setTimeout(() => button.current?.focus());
  };
  const save = async (event: Event) => {
    event.preventDefault();
    const alias = (draft ?? '').trim();
    const problem = aliasProblem(alias);
    if (problem) return setError(problem);
    if (alias === cluster.alias) return leave();
    setBusy(true);
    try {
      await change(cluster, { alias });
      toast(alias ? `The alias is now “${alias}”.` : 'The alias is gone.');
      leave();
    } catch (failure) {
      setError(words(failure));
    }
    setBusy(false);
  };
  if (draft === null) {
    return (
      <span class="alias">
        {cluster.alias && <span>{cluster.alias}</span>}
        {allowed && (
          <button
            ref={button}
            type="button"
            class="button quiet small"
            aria-label={cluster.alias ? 'Change the alias' : undefined}
            onClick={() => setDraft(cluster.alias)}
          >
            <Icon name="pencil" />
            {!cluster.alias && 'Add an alias'}
          </button>
        )}
      </span>
    );
  }
  return (
    <form class="inline-form" onSubmit={save}>
      <input
        type="text"
        value={draft}
        aria-label="Alias"
        aria-invalid={error !== ''}
        aria-describedby={error ? 'alias-error' : undefined}
        disabled={busy}
        ref={field}
        onInput={(event) => setDraft(event.currentTarget.value)}
        onKeyDown={(event) => event.key === 'Escape' && leave()}
      />
      <button type="submit" class="button small primary" disabled={busy}>
        Save
      </button>
      <button type="button" class="button small" onClick={leave}>
        Cancel
      </button>
      {error && (
        <span id="alias-error" class="inline-error" role="alert">
          {error}
        </span>
      )}
    </form>
  );
}

/** The cluster's labels, each of which can be taken away, and a field for a new one. */
export function LabelsEditor({ cluster, allowed }: { cluster: FleetCluster; allowed: boolean }) {
  const [draft, setDraft] = useState<string | null>(null);
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const editing = draft !== null;
  useLayoutEffect(() => {
    if (editing && !busy) field.current?.focus();
  }, [editing, busy]);
  const leave = () => {
    setDraft(null);
    setError('');
    setTimeout(() => button.current?.focus());
  };
  const put = async (labels: Record<string, string>, done: string, undo?: () => void) => {
    setBusy(true);
    setError('');
    try {
      await change(cluster, { labels });
      toast(done, undo && { label: 'Undo', run: undo });
      return true;
    } catch (failure) {
      setError(words(failure));
      return false;
    } finally {
      setBusy(false);
    }
  };
  const add = async (event: Event) => {
    event.preventDefault();
    const { key, value } = parseLabel(draft ?? '');
    const problem = labelProblem(key, value);
    if (problem) return setError(problem);
    if (await put({ ...cluster.labels, [key]: value }, `Label ${key}=${value} is set.`)) leave();
  };
  const remove = (key: string) => {
    const { [key]: _gone, ...rest } = cluster.labels;
    void put(rest, `Label ${key} is gone.`).then((done) => done && button.current?.focus());
  };
  return (
    <div class="labels">
      <ul aria-label="Labels">
        {Object.entries(cluster.labels).map(([key, value]) => (
          <li class="chip" key={key}>
            <span class="chip-key">{key}</span>
            {value && <span class="chip-value">{value}</span>}
            {allowed && (
              <button
                type="button"
                class="chip-remove"
                aria-label={`Remove the label ${key}`}
                disabled={busy}
                onClick={() => remove(key)}
              >
                <Icon name="close" />
              </button>
            )}
          </li>
        ))}
      </ul>
      {allowed && draft === null && (
        <button ref={button} type="button" class="button quiet small" onClick={() => setDraft('')}>
          <Icon name="plus" />
          Add a label
        </button>
      )}
      {draft !== null && (
        <form class="inline-form" onSubmit={add}>
          <input
            type="text"
            value={draft}
            placeholder="key=value"
            aria-label="Label, as key=value"
            aria-invalid={error !== ''}
            spellcheck={false}
            disabled={busy}
            ref={field}
            onInput={(event) => setDraft(event.currentTarget.value)}
            onKeyDown={(event) => event.key === 'Escape' && leave()}
          />
          <button type="submit" class="button small primary" disabled={busy}>
            Add
          </button>
          <button type="button" class="button small" onClick={leave}>
            Cancel
          </button>
        </form>
      )}
      {error && (
        <span class="inline-error" role="alert">
          {error}
        </span>
      )}
    </div>
  );
}
