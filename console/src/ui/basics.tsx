import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { ApiError } from '../api/client';
import { absolute, duration, relative } from '../logic/format';
import { useNow } from '../state/clock';
import { Icon, type IconName } from './icons';

/** Sets the page's title and gives its heading the focus, so that keyboards and screen readers start there. */
export function useHeading(title: string) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Cluster Gateway`;
  }, [title]);
  useLayoutEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return heading;
}

/** A time as an age, with the full time on demand. */
export function Time({ at }: { at: string | null }) {
  const now = useNow();
  if (!at) return <span class="muted">–</span>;
  return (
    <time dateTime={at} title={absolute(at)}>
      {relative(at, now)}
    </time>
  );
}

/** How long something has been so. */
export function Age({ since }: { since: string }) {
  const now = useNow();
  return (
    <time dateTime={since} title={absolute(since)}>
      {duration(now - Date.parse(since))}
    </time>
  );
}

interface PanelProps {
  title: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
  class?: string;
}

export function Panel({ title, aside, children, class: more = '' }: PanelProps) {
  return (
    <section class={`panel ${more}`} aria-label={title}>
      <header class="panel-head">
        <h2>{title}</h2>
        {aside && <div class="panel-aside">{aside}</div>}
      </header>
      {children}
    </section>
  );
}

interface ProblemProps {
  error: Pick<ApiError, 'message' | 'remedy'>;
  onRetry?: (() => void) | undefined;
  children?: ComponentChildren;
}

/** Something that did not work, why, and what to do. */
export function Problem({ error, onRetry, children }: ProblemProps) {
  return (
    <div class="notice is-bad" role="alert">
      <Icon name="warning" />
      <div class="notice-text">
        <p class="notice-found">{error.message}</p>
        {error.remedy && <p class="notice-remedy">{error.remedy}</p>}
        {children}
      </div>
      {onRetry && (
        <button type="button" class="button small" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Shown while something is read, but only if that takes long enough to be noticed. */
export function Loading({ lines = 3 }: { lines?: number }) {
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), 250);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class={shown ? 'loading' : 'loading is-hidden'} role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <span class="loading-line" key={index} />
      ))}
    </div>
  );
}

/** A place where nothing is, and what could be there. */
export function Empty({ title, children, icon }: { title: string; children?: ComponentChildren; icon?: IconName }) {
  return (
    <div class="empty">
      {icon && <Icon name={icon} />}
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

/** Copies text; says so in its own words. */
export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [done, setDone] = useState<'' | 'Copied' | 'Copy it by hand'>('');
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(''), 2000);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setDone('Copied'),
      () => setDone('Copy it by hand'),
    );
  return (
    <button type="button" class="button small" onClick={copy}>
      <Icon name={done === 'Copied' ? 'check' : 'copy'} />
      <span aria-live="polite">{done || label}</span>
    </button>
  );
}

/** Lines of code that can be copied. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div class="code">
      <pre tabIndex={0} role="region" aria-label={label}>
        {text}
      </pre>
      <CopyButton text={text} />
    </div>
  );
}
