import { type Host, type Reply, startHost } from "@parley/local/simulators/http";

/** An iCalendar of events, each given by its lines; `UID` and `DTSTAMP` are added where they are missing. */
export function ics(...events: string[][]): string {
  const lines = events.flatMap((event, index) => [
    "BEGIN:VEVENT",
    ...(event.some((line) => line.startsWith("UID")) ? [] : [`UID:event-${index}`]),
    "DTSTAMP:20260101T000000Z",
    ...event,
    "END:VEVENT",
  ]);
  return ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", ...lines, "END:VCALENDAR", ""].join("\r\n");
}

/** A web server that serves one text, whatever is asked of it. */
export async function startTextHost(first = ""): Promise<Host & { url: string; serve(text: string): void }> {
  let text = first;
  const reply = (status: number): Reply => ({
    status,
    headers: { "content-type": "text/plain" },
    body: text,
  });
  const host = await startHost({
    answer: () => reply(200),
    fail: ({ status }) => reply(status),
    malformed: { status: 200, body: "<!doctype html><title>Sign in</title>" },
  });
  return {
    ...host,
    url: `${host.origin}/holidays.ics`,
    serve(next) {
      text = next;
    },
  };
}
