export interface Sparkline {
  /** The line, in pieces: a probe that failed leaves a gap. */
  line: string;
  /** Where probes failed. */
  gaps: number[];
  /** The newest sample's place, if it was no failure. */
  end: { x: number; y: number } | null;
}

/** Draws samples into a box; the newest is at the right, and at least `slots` places are kept. */
export function sparkline(samples: readonly (number | null)[], width: number, height: number, slots = 24): Sparkline {
  const values = samples.filter((value): value is number => value !== null);
  const most = Math.max(...values, 1);
  const least = Math.min(...values, most);
  const span = Math.max(most - least, most * 0.25, 1);
  const places = Math.max(slots, samples.length) - 1;
  const x = (index: number) => round(width - (samples.length - 1 - index) * (width / places));
  const y = (value: number) => round(height - ((value - least) / span) * height);
  let line = '';
  const gaps: number[] = [];
  let pen = false;
  samples.forEach((value, index) => {
    if (value === null) {
      gaps.push(x(index));
      pen = false;
      return;
    }
    line += `${pen ? 'L' : 'M'}${x(index)} ${y(value)}`;
    pen = true;
  });
  const last = samples.at(-1);
  return { line, gaps, end: last === null || last === undefined ? null : { x: x(samples.length - 1), y: y(last) } };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
