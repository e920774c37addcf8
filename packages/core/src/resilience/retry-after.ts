/** The `Retry-After` header in milliseconds: seconds or an HTTP date; undefined when absent or unreadable. */
export function retryAfterMs(header: string | null | undefined, now: number): number | undefined {
  const text = header?.trim() ?? "";
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : dateOf(text) - now;
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

/** Every form of an HTTP date begins with a weekday; `Date.parse` alone would read "-5" as a year. */
const dateOf = (text: string) => (/^[a-z]/i.test(text) ? Date.parse(text) : Number.NaN);
