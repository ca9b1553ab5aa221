import { useState } from 'preact/hooks';
import type { KubeconfigContext } from '../api/types';
import { aliasProblem, labelProblem, nameProblem, parseLabel } from '../logic/names';
import { fleet } from '../state/fleet';
import { Time } from '../ui/basics';
import { Icon } from '../ui/icons';
import type { Wish } from './join';

interface ChooseProps {
  wish: Wish;
  onBack: () => void;
  onNext: (part: Partial<Wish>) => void;
}

const CREDENTIALS = {
  ServiceAccountToken: 'token',
  X509Certificate: 'client certificate',
  Dynamic: 'from a program',
};

/** The second step: which context, and what the cluster is called here. */
export function JoinChoose({ wish, onBack, onNext }: ChooseProps) {
  const { contexts, currentContext } = wish.contexts;
  const usable = contexts.filter((one) => !one.problem);
  const first = usable.find((one) => one.name === currentContext) ?? usable[0];
  const [context, setContext] = useState(wish.context || first?.name || '');
  const chosen = contexts.find((one) => one.name === context);
  const [name, setName] = useState(wish.name || first?.suggestedName || '');
  const [named, setNamed] = useState(wish.name !== '');
  const [alias, setAlias] = useState(wish.alias);
  const [labels, setLabels] = useState(wish.labels);
  const [serviceAccount, setServiceAccount] = useState(wish.serviceAccount);
  const [insecure, setInsecure] = useState(wish.insecureSkipTLSVerify);
  const [tried, setTried] = useState(false);

  const nameError = nameProblem(name, (wanted) => fleet.get().clusters.has(wanted));
  const aliasError = aliasProblem(alias);
  const needsInsecure = chosen?.insecureSkipTLSVerify ?? false;
  const ready = chosen !== undefined && !chosen.problem && !nameError && !aliasError && (!needsInsecure || insecure);

  const choose = (one: KubeconfigContext) => {
    setContext(one.name);
    if (!named) setName(one.suggestedName);
  };
  const submit = (event: Event) => {
    event.preventDefault();
    setTried(true);
    if (ready)
      onNext({ context, name, alias, labels, serviceAccount, insecureSkipTLSVerify: needsInsecure && insecure });
  };

  return (
    <form class="stack" onSubmit={submit}>
      <fieldset class="choices is-stacked">
        <legend>{contexts.length > 1 ? 'Which context is the cluster’s?' : 'The context in this kubeconfig'}</legend>
        {contexts.map((one) => (
          <label class={one.problem ? 'choice is-disabled' : 'choice'} key={one.name}>
            <input
              type="radio"
              name="context"
              checked={one.name === context}
              disabled={one.problem !== null}
              onChange={() => choose(one)}
            />
            <span>
              <b>
                {one.name}
                {one.name === currentContext && <span class="tag">current</span>}
              </b>
              <span class="muted mono">{one.server}</span>
              <span class="muted">
                {one.user}
                {one.credentialType && `, ${CREDENTIALS[one.credentialType]}`}
                {one.expires && (
                  <>
                    , ends <Time at={one.expires} />
                  </>
                )}
              </span>
              {one.problem && (
                <span class="is-bad-text">
                  {one.problem}. {one.remedy}
                </span>
              )}
            </span>
          </label>
        ))}
      </fieldset>

      <div class="pair">
        <label class="field">
          <span>Name</span>
          <input
            type="text"
            value={name}
            aria-invalid={(tried || named) && nameError !== ''}
            aria-describedby="name-help"
            spellcheck={false}
            autocomplete="off"
            onInput={(event) => {
              setName(event.currentTarget.value);
              setNamed(true);
            }}
          />
          <span id="name-help" class={(tried || named) && nameError ? 'hint is-bad-text' : 'hint'} aria-live="polite">
            {((tried || named) && nameError) || 'It stands in every path to the cluster.'}
          </span>
        </label>
        <label class="field">
          <span>
            Alias <span class="muted">(may be left out)</span>
          </span>
          <input
            type="text"
            value={alias}
            aria-describedby="alias-help"
            onInput={(event) => setAlias(event.currentTarget.value)}
          />
          <span id="alias-help" class={aliasError ? 'hint is-bad-text' : 'hint'} aria-live="polite">
            {aliasError || 'For people; it can be changed at any time.'}
          </span>
        </label>
      </div>

      <Labels labels={labels} onChange={setLabels} />

      <label class="check">
        <input
          type="checkbox"
          checked={serviceAccount}
          onChange={(event) => setServiceAccount(event.currentTarget.checked)}
        />
        <span>
          <b>Make a smaller account for the gateway</b>
          <span class="hint">
            A service account that may impersonate and nothing else, with tokens of an hour that the gateway renews. The
            kubeconfig’s own credential is not kept. Without this, it is kept as it is until it ends.
          </span>
        </span>
      </label>
      {needsInsecure && (
        <label class="check is-warned">
          <input type="checkbox" checked={insecure} onChange={(event) => setInsecure(event.currentTarget.checked)} />
          <span>
            <b>Do not verify the member’s certificate</b>
            <span class="hint">
              The kubeconfig says insecure-skip-tls-verify. Whoever stands between the gateway and the member could then
              read everything. Better: put the CA into the kubeconfig.
            </span>
          </span>
        </label>
      )}
      <div class="actions">
        <button type="submit" class="button primary" disabled={!chosen || chosen.problem !== null || (tried && !ready)}>
          Check
        </button>
        <button type="button" class="button" onClick={onBack}>
          Back
        </button>
      </div>
    </form>
  );
}

function Labels({
  labels,
  onChange,
}: {
  labels: Record<string, string>;
  onChange: (labels: Record<string, string>) => void;
}) {
  const [draft, setDraft] = useState('');
  const [error, setError] = useState('');
  const add = () => {
    if (!draft.trim()) return;
    const { key, value } = parseLabel(draft);
    const problem = labelProblem(key, value);
    setError(problem);
    if (problem) return;
    onChange({ ...labels, [key]: value });
    setDraft('');
  };
  const remove = (key: string) => {
    const { [key]: _gone, ...rest } = labels;
    onChange(rest);
  };
  return (
    <div class="field">
      <label for="new-label">
        Labels <span class="muted">(may be left out)</span>
      </label>
      <div class="labels">
        {Object.entries(labels).map(([key, value]) => (
          <span class="chip" key={key}>
            <span class="chip-key">{key}</span>
            {value && <span class="chip-value">{value}</span>}
            <button
              type="button"
              class="chip-remove"
              aria-label={`Remove the label ${key}`}
              onClick={() => remove(key)}
            >
              <Icon name="close" />
            </button>
          </span>
        ))}
        <input
          id="new-label"
          class="label-input"
          type="text"
          value={draft}
          placeholder="env=prod"
          spellcheck={false}
          aria-describedby="label-help"
          onInput={(event) => {
            setDraft(event.currentTarget.value);
            setError('');
          }}
          onBlur={add}
          onKeyDown={(event) => {
            if (event.key !== 'Enter' && event.key !== ',') return;
            event.preventDefault();
            add();
          }}
        />
      </div>
      <span id="label-help" class={error ? 'hint is-bad-text' : 'hint'} aria-live="polite">
        {error || 'key=value and Enter; the fleet can be filtered by them.'}
      </span>
    </div>
  );
}
