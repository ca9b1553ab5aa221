/** Which rows of a long list are drawn: those in sight and some around them. */
export function visible(
  scrolled: number,
  height: number,
  rowHeight: number,
  total: number,
  around = 10,
): { first: number; last: number } {
  const first = Math.max(0, Math.floor(scrolled / rowHeight) - around);
  const last = Math.min(total, Math.ceil((scrolled + height) / rowHeight) + around);
  return { first: Math.min(first, Math.max(0, last)), last: Math.max(0, last) };
}
