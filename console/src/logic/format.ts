const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time in one unit: `12 s`, `5 min`, `3 h`, `12 d`, `2 y`. */
export function duration(milliseconds: number): string {
  const length = Math.abs(milliseconds);
  if (length < MINUTE) return `${Math.round(length / SECOND)} s`;
  if (length < HOUR) return `${Math.round(length / MINUTE)} min`;
  if (length < 2 * DAY) return `${Math.round(length / HOUR)} h`;
  if (length < 730 * DAY) return `${Math.floor(length / DAY)} d`;
  return `${Math.floor(length / (365 * DAY))} y`;
}

/** A time as seen from now: `5 min ago`, `in 12 d`, `now`. */
export function relative(time: string | number | null, now: number): string {
  const at = typeof time === 'string' ? Date.parse(time) : time;
  if (at === null || Number.isNaN(at)) return '–';
  const distance = at - now;
  if (Math.abs(distance) < 3 * SECOND) return 'now';
  return distance < 0 ? `${duration(distance)} ago` : `in ${duration(distance)}`;
}

/** A time in full, in the reader's time zone. */
export function absolute(time: string | number | null): string {
  if (time === null) return '';
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? '' : date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'long' });
}

/** Milliseconds for people: `0.2 ms`, `8.4 ms`, `120 ms`, `2.3 s`. */
export function milliseconds(value: number): string {
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

/** Bytes in binary units. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let unit = 0;
  let rest = value;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${rest >= 100 || unit === 0 ? Math.round(rest) : rest.toFixed(1).replace(/\.0$/, '')} ${units[unit]}`;
}

/** A number of cores. */
export function cores(value: number): string {
  return value.toFixed(value < 100 ? 2 : 1).replace(/\.?0+$/, '');
}

/** `1 cluster`, `3 clusters`, `10,000 clusters`. */
export function plural(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`;
}
