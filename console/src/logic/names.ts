// What may be a name, an alias, a label. The server checks again; here people hear it while they type.

const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** What is wrong with the name of a new cluster; empty if nothing is. */
export function nameProblem(name: string, taken: (name: string) => boolean): string {
  if (!name) return 'Give the cluster a name.';
  if (name === 'local') return '“local” is reserved for the hub itself.';
  if (name.length < 2 || name.length > 31) return 'Use 2 to 31 characters.';
  if (!NAME.test(name)) return 'Use a–z, 0–9 and “-”; begin and end with a letter or digit.';
  return taken(name) ? 'There is a cluster of this name already.' : '';
}

/** What is wrong with an alias; it may be empty. */
export function aliasProblem(alias: string): string {
  const length = new TextEncoder().encode(alias).length;
  return length === 0 || (length >= 2 && length <= 64) ? '' : 'Use 2 to 64 bytes, or nothing.';
}

const PART = /^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$/;
const PREFIX = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** What is wrong with a label, by the rules of Kubernetes. */
export function labelProblem(key: string, value: string): string {
  const slash = key.indexOf('/');
  const prefix = slash < 0 ? null : key.slice(0, slash);
  const name = slash < 0 ? key : key.slice(slash + 1);
  if (prefix !== null && (prefix.length > 253 || !PREFIX.test(prefix)))
    return 'What stands before “/” must be a DNS name.';
  if (prefix === 'cluster.core.oam.dev') return 'Labels of cluster.core.oam.dev belong to the gateway.';
  if (!PART.test(name) || name.length > 63) return 'A key is 1 to 63 letters, digits, “-”, “_” or “.”.';
  if (value && (!PART.test(value) || value.length > 63)) return 'A value is up to 63 letters, digits, “-”, “_” or “.”.';
  return '';
}

/** Reads `key=value`; a key alone has an empty value. */
export function parseLabel(text: string): { key: string; value: string } {
  const equals = text.indexOf('=');
  return equals < 0
    ? { key: text.trim(), value: '' }
    : { key: text.slice(0, equals).trim(), value: text.slice(equals + 1).trim() };
}
