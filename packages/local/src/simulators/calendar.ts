import { createHash } from "node:crypto";
import { holidayCalendar } from "./calendar/holidays.ts";
import { serialise } from "./calendar/icalendar.ts";
import type { Fault } from "./faults.ts";
import { type Host, type HostRequest, type Reply, startHost } from "./http.ts";

export type CalendarSimulator = {
  /** The calendar's own address, ending in `/holidays.ics`. */
  url: string;
  inject(fault: Fault): () => void;
} & Pick<Host, "origin" | "requests" | "total" | "reset" | "close">;

const PATH = "/holidays.ics";

/**
 * Serves the public holidays of last year, this year and the next two as iCalendar, with `ETag` and `Last-Modified`
 * and 304 for who has it already. A `malformed` answer is a web page, as a sign-in wall sends it.
 */
export async function startCalendar(
  options: { port?: number | undefined; now?: (() => Date) | undefined } = {},
): Promise<CalendarSimulator> {
  const now = options.now ?? (() => new Date());
  const host = await startHost({
    port: options.port,
    answer: (request) => answer(request, now()),
    fail: ({ status, message }) => plain(status, message ?? "The calendar is not available."),
    malformed: {
      status: 200,
      headers: { "content-type": "text/html; charset=utf-8" },
      body: "<!doctype html><title>Sign in</title><p>Please sign in to see this calendar.",
    },
  });
  return { ...host, url: `${host.origin}${PATH}` };
}

function answer({ method, path, headers }: HostRequest, now: Date): Reply {
  if (path !== PATH) return plain(404, "There is no such calendar.");
  if (method !== "GET" && method !== "HEAD")
    return { ...plain(405, "GET or HEAD"), headers: { allow: "GET, HEAD" } };
  const year = now.getUTCFullYear();
  const body = serialise(holidayCalendar(year));
  const etag = `"${createHash("sha256").update(body).digest("hex").slice(0, 32)}"`;
  // The content changes with the year and with nothing else.
  const modified = new Date(Date.UTC(year, 0, 1));
  const validators = { etag, "last-modified": modified.toUTCString() };
  if (isFresh(headers, etag, modified)) return { status: 304, headers: validators, body: "" };
  return { status: 200, headers: { "content-type": "text/calendar; charset=utf-8", ...validators }, body };
}

/** `If-None-Match` decides when it is there; `If-Modified-Since` otherwise (RFC 9110). */
function isFresh(headers: HostRequest["headers"], etag: string, modified: Date): boolean {
  const known = headers["if-none-match"];
  if (known !== undefined) {
    return known.split(",").some((each) => ["*", etag].includes(each.trim().replace(/^W\//, "")));
  }
  return Date.parse(headers["if-modified-since"] ?? "") >= modified.getTime();
}

function plain(status: number, message: string): Reply {
  return { status, headers: { "content-type": "text/plain; charset=utf-8" }, body: `${message}\n` };
}
