import { useState } from 'preact/hooks';
import type { RecentRequest } from '../api/types';
import { milliseconds } from '../logic/format';
import { useRequests } from '../state/cluster';
import { Empty, Loading, Panel, Time } from '../ui/basics';

/** How many are drawn at first. */
const AT_FIRST = 12;

const REFUSED_BY: Record<NonNullable<RecentRequest['refusedBy']>, string> = {
  Authentication: 'not authenticated',
  Authorization: 'not authorized',
  Limits: 'over a limit',
  Breaker: 'breaker open',
  Path: 'path refused',
};

export function RequestsPanel({ name }: { name: string }) {
  const { requests, failed } = useRequests(name);
  const [refusals, setRefusals] = useState(false);
  const [all, setAll] = useState(false);
  const chosen = requests?.filter((one) => !refusals || one.outcome !== 'Answered') ?? [];
  const shown = all ? chosen : chosen.slice(0, AT_FIRST);
  const aside = (
    <div class="segments" role="group" aria-label="Which requests">
      <button type="button" aria-pressed={!refusals} onClick={() => setRefusals(false)}>
        All
      </button>
      <button type="button" aria-pressed={refusals} onClick={() => setRefusals(true)}>
        Refused
      </button>
    </div>
  );
  return (
    <Panel title="Recent requests" aside={aside}>
      {failed && <p class="hint">{failed} What follows may be old.</p>}
      {!requests && !failed && <Loading lines={5} />}
      {requests && chosen.length === 0 && (
        <Empty title={refusals ? 'Nothing has been refused' : 'No requests yet'}>
          <p>
            {refusals
              ? 'Refusals and failures appear here with their reason.'
              : 'They appear here as they come, from this replica of the gateway.'}
          </p>
        </Empty>
      )}
      {shown.length > 0 && (
        <div class="scroll" tabIndex={0} role="group" aria-label="Recent requests">
          <table class="table requests">
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">Code</th>
                <th scope="col">Request</th>
                <th scope="col">User</th>
                <th scope="col" class="is-number">
                  Took
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.map((one) => (
                <RequestRow key={one.id} request={one} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {chosen.length > AT_FIRST && (
        <button type="button" class="button quiet small more" onClick={() => setAll(!all)}>
          {all ? 'Show fewer' : `Show all ${chosen.length}`}
        </button>
      )}
    </Panel>
  );
}

function RequestRow({ request }: { request: RecentRequest }) {
  const bad = request.outcome !== 'Answered';
  return (
    <tr>
      <td class="nowrap">
        <Time at={request.at} />
      </td>
      <td>
        <span class={bad ? 'code-word is-bad' : 'code-word'}>{request.code ?? '–'}</span>
      </td>
      <td>
        <span class="request-line">
          <span class="verb">{request.verb}</span> <span class="mono">{request.path}</span>
        </span>
        <span class="muted mono only-small">{request.user}</span>
        {bad && (
          <span class="why">
            {request.refusedBy && <b>{REFUSED_BY[request.refusedBy]}: </b>}
            {request.reason}
          </span>
        )}
      </td>
      <td class="mono">{request.user}</td>
      <td class="is-number nowrap">
        {request.tookMilliseconds === null ? (
          <span class="muted">running</span>
        ) : (
          milliseconds(request.tookMilliseconds)
        )}
      </td>
    </tr>
  );
}
