import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, stream } from '../api/client';
import { HOPS, type JoinPlan, type JoinRequest } from '../api/types';
import { NOT_WALKED, step, type Walk } from '../logic/hops';
import { Loading, Problem, Time } from '../ui/basics';
import { Changes } from '../ui/changes';
import { HopList } from '../ui/hops';
import { Icon } from '../ui/icons';
import type { Wish } from './join';

interface CheckProps {
  wish: Wish;
  onBack: () => void;
  onNext: (digest: string) => void;
}

/** The wish as the API takes it. */
export function joinRequest(wish: Wish): JoinRequest {
  const { kubeConfig, context, name, alias, labels, serviceAccount, insecureSkipTLSVerify } = wish;
  return { kubeConfig, context, name, alias, labels, serviceAccount, insecureSkipTLSVerify };
}

/** The third step: every hop is tried, and what would be written is shown. Nothing is written yet. */
export function JoinCheck({ wish, onBack, onNext }: CheckProps) {
  const [walk, setWalk] = useState<Walk>(NOT_WALKED);
  const [plan, setPlan] = useState<JoinPlan | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(true);
  const current = useRef<AbortController | null>(null);

  const run = useCallback(() => {
    current.current?.abort();
    const stop = new AbortController();
    current.current = stop;
    setWalk(NOT_WALKED);
    setPlan(null);
    setError(null);
    setBusy(true);
    stream(
      '/api/v1/join/plan',
      (event, data) => {
        if (event === 'plan') setPlan(data as JoinPlan);
        else setWalk((old) => step(old, event, data));
      },
      { method: 'POST', body: joinRequest(wish), signal: stop.signal },
    ).then(
      () => setBusy(false),
      (failure: unknown) => {
        if (stop.signal.aborted) return;
        setBusy(false);
        setError(failure instanceof ApiError ? failure : new ApiError(0, 0, String(failure)));
      },
    );
  }, [wish]);

  useEffect(() => {
    run();
    return () => current.current?.abort();
  }, [run]);

  const findings = [...walk.findings.values()];
  const bad = findings.filter((one) => one.outcome === 'Failed').length;
  const warned = findings.filter((one) => one.outcome === 'Warned').length;
  const ready = !busy && plan !== null && bad === 0 && error === null;
  return (
    <div class="stack">
      <p class="lead" role="status">
        {busy && 'Trying every hop to the cluster. Nothing is written yet.'}
        {!busy && bad > 0 && 'It cannot be joined like this. What to do stands below; then check again.'}
        {!busy && bad === 0 && warned > 0 && 'It can be joined. Look at the warnings first.'}
        {!busy && bad === 0 && warned === 0 && !error && 'Everything is well. This is what would be written:'}
      </p>
      <div class="check-columns">
        <section class="panel" aria-label="Preflight checks">
          <header class="panel-head">
            <h2>Checks</h2>
          </header>
          <HopList walk={walk} hops={HOPS} />
        </section>
        <section class="panel" aria-label="Plan">
          <header class="panel-head">
            <h2>Plan</h2>
          </header>
          {!plan && !error && <Loading />}
          {plan && <PlanView plan={plan} />}
        </section>
      </div>
      {error && <Problem error={error} onRetry={run} />}
      <div class="actions">
        <button type="button" class="button primary" disabled={!ready} onClick={() => plan && onNext(plan.digest)}>
          Join {wish.name}
        </button>
        <button type="button" class="button" onClick={run} disabled={busy}>
          <Icon name="refresh" />
          Check again
        </button>
        <button type="button" class="button" onClick={onBack}>
          Back
        </button>
      </div>
    </div>
  );
}

function PlanView({ plan }: { plan: JoinPlan }) {
  return (
    <>
      <Changes changes={plan.changes} />
      {plan.notes?.map((note) => (
        <p class="hint plan-note" key={note}>
          {note}
        </p>
      ))}
      <p class="hint plan-note">
        {plan.credential.renewal === 'Gateway' && 'The gateway’s token is renewed before it ends.'}
        {plan.credential.renewal === 'Program' && 'The credential is asked from a program each time it ends.'}
        {plan.credential.renewal === 'None' && plan.credential.expires && (
          <>
            The credential ends <Time at={plan.credential.expires} />, and nobody renews it.
          </>
        )}
      </p>
    </>
  );
}
