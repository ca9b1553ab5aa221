import { useEffect } from 'preact/hooks';
import { setShortcuts, shortcuts } from '../state/preferences';
import { go } from '../state/router';
import { Store, useStore } from '../state/store';
import { Dialog } from './dialog';

const help = new Store(false);

export function showHelp(): void {
  help.set(true);
}

const KEYS: [string, string][] = [
  ['/', 'filter the fleet'],
  ['↑ ↓ or j k', 'walk through the clusters'],
  ['Enter', 'open the cluster'],
  ['Home End Page↑ Page↓', 'walk far'],
  ['n', 'join a cluster'],
  ['f', 'back to the fleet'],
  ['?', 'this help'],
  ['Escape', 'close, or leave a field unchanged'],
];

const TERMS: [string, string][] = [
  ['berlin', 'in name, alias, reason or URL'],
  ['env=prod', 'a label; env!=prod: not that value'],
  ['label:team', 'has the label'],
  ['status:unhealthy', 'or warning, unknown, healthy, attention'],
  ['version:1.31', 'a version of Kubernetes'],
  ['expires:30d', 'the credential ends within 30 days'],
  ['slower:100', 'the last probe took more than 100 ms'],
  ['-env=dev', '“-” turns any of these round'],
];

function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

export function Shortcuts() {
  const open = useStore(help);
  const on = useStore(shortcuts);
  useEffect(() => {
    if (!on) return;
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
      if (document.querySelector('dialog[open]')) return;
      if (event.key === '?') showHelp();
      else if (event.key === 'n') go('/join');
      else if (event.key === 'f') go('/');
      else if (event.key === '/') focusFilter();
      else return;
      event.preventDefault();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [on]);
  if (!open) return null;
  return (
    <Dialog title="Keys and help" onClose={() => help.set(false)} wide>
      <div class="help">
        <div>
          <h3>Keys</h3>
          <Definitions of={KEYS} />
          <label class="check">
            <input type="checkbox" checked={on} onChange={(event) => setShortcuts(event.currentTarget.checked)} />
            Single keys are shortcuts
          </label>
        </div>
        <div>
          <h3>The filter understands</h3>
          <Definitions of={TERMS} />
        </div>
      </div>
    </Dialog>
  );
}

function Definitions({ of }: { of: [string, string][] }) {
  return (
    <dl class="keys">
      {of.map(([term, words]) => (
        <div key={term}>
          <dt>
            <kbd>{term}</kbd>
          </dt>
          <dd>{words}</dd>
        </div>
      ))}
    </dl>
  );
}

function focusFilter(): void {
  const find = () => document.querySelector<HTMLInputElement>('#filter');
  if (!find()) go('/');
  setTimeout(() => {
    find()?.focus();
    find()?.select();
  });
}
