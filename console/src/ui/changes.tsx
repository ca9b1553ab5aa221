import type { Change } from '../api/types';

const WHERE = { hub: 'in the hub', member: 'in the member' };

/** What would happen to objects, with every value that would be another. */
export function Changes({ changes }: { changes: readonly Change[] }) {
  return (
    <ul class="changes">
      {changes.map((change) => (
        <li key={`${change.side}/${change.object}`}>
          {change.details?.length ? (
            <details>
              <summary>
                <Line change={change} />
              </summary>
              <dl class="facts is-small is-details">
                {change.details.map((detail) => (
                  <div key={detail.what}>
                    <dt>{detail.what}</dt>
                    <dd class="mono">
                      {detail.before !== undefined && <del>{detail.before}</del>} {detail.after}
                    </dd>
                  </div>
                ))}
              </dl>
            </details>
          ) : (
            <Line change={change} />
          )}
        </li>
      ))}
    </ul>
  );
}

function Line({ change }: { change: Change }) {
  const [kind, ...name] = change.object.split(' ');
  return (
    <span class="change">
      <span class={`change-verb is-${change.verb}`}>{change.verb}</span>
      <span>
        <b>{kind}</b> <span class="mono">{name.join(' ')}</span>
        {change.side && <span class="muted change-side">{WHERE[change.side]}</span>}
      </span>
    </span>
  );
}
