import { milliseconds } from '../logic/format';
import { sparkline } from '../logic/sparkline';

const WIDTH = 96;
const HEIGHT = 20;

/** The latest probes of a cluster as a small line; the newest is at the right, a failed one is a red tick. */
export function Sparkline({ samples }: { samples: readonly (number | null)[] }) {
  const { line, gaps, end } = sparkline(samples, WIDTH, HEIGHT);
  const last = samples.at(-1);
  return (
    <span class="latency">
      <svg
        class="sparkline"
        viewBox={`-2 -3 ${WIDTH + 5} ${HEIGHT + 6}`}
        width={WIDTH + 5}
        height={HEIGHT + 6}
        aria-hidden="true"
      >
        {line && <path d={line} />}
        {gaps.map((x) => (
          <line key={x} class="gap" x1={x} x2={x} y1={HEIGHT - 5} y2={HEIGHT} />
        ))}
        {end && <circle cx={end.x} cy={end.y} r="2" />}
      </svg>
      <span class="latency-value">
        {typeof last === 'number' ? (
          milliseconds(last)
        ) : (
          <span class="muted">{samples.length ? 'no answer' : '–'}</span>
        )}
      </span>
    </span>
  );
}

const CHART = { width: 640, height: 96 };

/** The same, large, with its scale. */
export function LatencyChart({ samples }: { samples: readonly (number | null)[] }) {
  const values = samples.filter((value): value is number => value !== null);
  const { line, gaps, end } = sparkline(samples, CHART.width, CHART.height);
  const most = Math.max(...values, 0);
  const least = Math.min(...values, most);
  const failed = samples.length - values.length;
  const words = values.length
    ? `Latency of the last ${samples.length} probes: ${milliseconds(least)} to ${milliseconds(most)}${failed ? `, ${failed} without an answer` : ''}`
    : 'No probe has been answered yet';
  return (
    <figure class="chart">
      <svg
        viewBox={`0 -4 ${CHART.width + 4} ${CHART.height + 8}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={words}
      >
        <line class="grid" x1="0" x2={CHART.width} y1="0" y2="0" />
        <line class="grid" x1="0" x2={CHART.width} y1={CHART.height / 2} y2={CHART.height / 2} />
        <line class="grid" x1="0" x2={CHART.width} y1={CHART.height} y2={CHART.height} />
        {line && <path d={line} />}
        {gaps.map((x) => (
          <line key={x} class="gap" x1={x} x2={x} y1="0" y2={CHART.height} />
        ))}
        {end && <line class="end" x1={end.x} x2={end.x} y1={end.y - 0.01} y2={end.y} />}
      </svg>
      <figcaption>
        {values.length ? (
          <>
            <span>
              <b>{milliseconds(values.at(-1) ?? 0)}</b> last answer
            </span>
            <span>
              <b>{milliseconds(least)}</b> least
            </span>
            <span>
              <b>{milliseconds(most)}</b> most
            </span>
            {failed > 0 && (
              <span class="is-bad-text">
                <b>{failed}</b> without an answer
              </span>
            )}
          </>
        ) : (
          <span>{words}</span>
        )}
      </figcaption>
    </figure>
  );
}
