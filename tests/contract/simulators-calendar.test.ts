import { type CalendarSimulator, startCalendar } from "@parley/local/simulators/calendar";
import ICAL from "ical.js";
import { afterAll, beforeAll, expect, test } from "vitest";

let now = new Date("2026-11-22T14:40:12Z");
let calendar: CalendarSimulator;
let text: string;
let events: InstanceType<typeof ICAL.Event>[];
let response: Response;

beforeAll(async () => {
  calendar = await startCalendar({ now: () => now });
  response = await fetch(calendar.url);
  text = await response.text();
  const root = new ICAL.Component(ICAL.parse(text));
  events = root.getAllSubcomponents("vevent").map((event) => new ICAL.Event(event));
});
afterAll(() => calendar.close());

const summaries = (date: string) =>
  events.filter(({ startDate }) => startDate.toString().startsWith(date)).map(({ summary }) => summary);

test("is a calendar that says it is simulated", () => {
  expect(response.headers.get("content-type")).toBe("text/calendar; charset=utf-8");
  expect(text).toMatch(/^BEGIN:VCALENDAR\r\nVERSION:2\.0\r\n/);
  expect(text).toMatch(/\r\nX-WR-CALNAME:[^\r]*\(simulated\)\r\n/);
  for (const { summary } of events) expect(summary).toMatch(/ \(simulated\)$/);
  const ids = events.map(({ uid }) => uid);
  expect(new Set(ids).size).toBe(ids.length);
});

test("lines end in CRLF, fold at 75 octets and never inside a character", () => {
  expect(text.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
  const lines = text.split("\r\n");
  for (const line of lines) {
    expect(Buffer.byteLength(line)).toBeLessThanOrEqual(75);
    expect(line).not.toContain("\ufffd");
  }
  expect(lines.filter((line) => line.startsWith(" ")).length).toBeGreaterThan(0);
});

test("holds last year, this one and the next two, movable days among them", () => {
  for (const year of [2025, 2026, 2027, 2028])
    expect(summaries(`${year}-12-25`)).toEqual(["Christmas Day (simulated)"]);
  expect(summaries("2024-12-25")).toEqual([]);
  expect(summaries("2029-12-25")).toEqual([]);
  expect(summaries("2026-09-11")).toEqual(["National Day of Catalonia (simulated)"]);
  const goodFridays = ["2025-04-18", "2026-04-03", "2027-03-26", "2028-04-14"];
  for (const date of goodFridays) expect(summaries(date)).toEqual(["Good Friday (simulated)"]);
  expect(summaries("2026-04-06")).toEqual(["Easter Monday (simulated)"]);
});

test("has escaped text, several days, a yearly rule and a time of day", () => {
  const midsummer = events.find(({ startDate }) => startDate.toString() === "2026-06-24")!;
  expect(midsummer.summary).toBe("Saint John's Day, midsummer (simulated)");
  expect(midsummer.description).toMatch(/eve; shops, offices .*\nAlso/);

  expect(text).toContain("SUMMARY:Saint John's Day\\, midsummer (simulated)\r\n");

  const merce = events.find(({ startDate }) => startDate.toString() === "2026-09-23")!;
  expect(merce.summary).toBe("Festival of la Mercè (simulated)");
  expect(merce.startDate.isDate).toBe(true);
  expect(merce.endDate.toString()).toBe("2026-09-26");

  const labour = events.find((event) => event.isRecurring())!;
  const days = labour.iterator();
  expect([days.next(), days.next(), days.next()].map(String)).toEqual([
    "2025-05-01",
    "2026-05-01",
    "2027-05-01",
  ]);

  const eve = events.find(({ startDate }) => startDate.toString() === "2026-12-24T14:00:00")!;
  expect(eve.startDate.isDate).toBe(false);
  expect(eve.component.getFirstProperty("dtstart")?.getParameter("tzid")).toBe("Europe/Madrid");
});

test("who has it already gets 304 until the year changes", async () => {
  const etag = response.headers.get("etag")!;
  const modified = response.headers.get("last-modified")!;
  const status = async (headers: Record<string, string>) => (await fetch(calendar.url, { headers })).status;
  expect(await status({ "if-none-match": etag })).toBe(304);
  expect(await status({ "if-none-match": `"other", W/${etag}` })).toBe(304);
  expect(await status({ "if-none-match": '"other"', "if-modified-since": modified })).toBe(200);
  expect(await status({ "if-modified-since": modified })).toBe(304);
  expect(await status({ "if-modified-since": "Thu, 01 Jan 2025 00:00:00 GMT" })).toBe(200);
  now = new Date("2027-01-02T00:00:00Z");
  expect(await status({ "if-none-match": etag })).toBe(200);
  expect(await status({ "if-modified-since": modified })).toBe(200);
});

test("other paths, methods and faults", async () => {
  expect((await fetch(`${calendar.origin}/other.ics`)).status).toBe(404);
  expect((await fetch(calendar.url, { method: "POST" })).status).toBe(405);
  const head = await fetch(calendar.url, { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
  calendar.inject({ malformed: true, times: 1 });
  const page = await (await fetch(calendar.url)).text();
  expect(() => ICAL.parse(page)).toThrow();
  calendar.inject({ status: 503, times: 1 });
  expect((await fetch(calendar.url)).status).toBe(503);
});
