import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { inspect } from "node:util";
import { ToolRunner } from "@parley/core/assistant/tool-runner";
import { HolidayCalendar } from "@parley/core/holidays/holiday-calendar";
import { Deadline } from "@parley/core/resilience/deadline";
import { getHolidays } from "@parley/core/tools/get-holidays";
import { startCalendar } from "@parley/local/simulators/calendar";
import type { Fault } from "@parley/local/simulators/faults";
import { type Host, startHost } from "@parley/local/simulators/http";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { HOUR_MS, MINUTE_MS, MovableClock } from "../support/clock.ts";
import { ics, startTextHost } from "../support/ics.ts";
import { redisWorker } from "../support/redis-worker.ts";
import { upstashSuite } from "../support/upstash-suite.ts";

const suite = upstashSuite("embedded");
const UNAVAILABLE = "Error: The holiday calendar is unavailable right now.";

let host: Awaited<ReturnType<typeof startTextHost>>;
let clock: MovableClock;
/** Not known to the cache. */
let link: string;

beforeAll(async () => {
  host = await startTextHost();
});
afterAll(() => host.close());
beforeEach(() => {
  clock = new MovableClock();
  // Sunday, 22 November 2026.
  clock.advance(Date.UTC(2026, 10, 22, 14, 40) - clock.now());
  link = `${host.origin}/private-${randomUUID()}/basic.ics`;
  host.serve(CALENDAR);
});
afterEach(() => {
  suite.gateway.fault = undefined;
  host.reset();
});

const CALENDAR = ics(
  ["DTSTART;VALUE=DATE:20261012", "SUMMARY:National Day"],
  ["DTSTART;VALUE=DATE:20261206", "SUMMARY:Constitution Day"],
  ["DTSTART;VALUE=DATE:20261225", "SUMMARY:Christmas Day"],
  ["DTSTART;VALUE=DATE:20261230", "DTEND;VALUE=DATE:20270103", "SUMMARY:Turn of the year"],
  ["DTSTART;VALUE=DATE:20200106", "RRULE:FREQ=YEARLY", "SUMMARY:Epiphany"],
  ["DTSTART;TZID=Europe/Madrid:20271224T140000", "DTEND;TZID=Europe/Madrid:20271224T220000", "SUMMARY:Eve"],
);

/** One Lambda instance's tool. */
function instance(options: { link?: string | undefined; callTimeoutMs?: number } = { link }) {
  const { redis, telemetry } = redisWorker(suite.gateway, { clock });
  const holidays = new HolidayCalendar({
    link: options.link,
    redis,
    freshMs: 24 * HOUR_MS,
    retryPolicy: { maxRetries: 3, baseMs: 5, capMs: 20 },
    ...(options.callTimeoutMs !== undefined && { callTimeoutMs: options.callTimeoutMs }),
    clock,
    telemetry,
  });
  const runner = new ToolRunner({ tools: [getHolidays({ clock, holidays })], timeoutMs: 5_000, telemetry });
  async function ask(given: Record<string, unknown> = {}, ms = 20_000): Promise<string> {
    const args = {
      before_date: null,
      after_date: null,
      max_count: null,
      country: null,
      region: null,
      ...given,
    };
    const call = {
      type: "tool_call",
      id: "1",
      name: "get_holidays",
      arguments: JSON.stringify(args),
    } as const;
    return (await runner.run(call, new Deadline(ms, { clock }))).content;
  }
  return { ask, telemetry };
}

describe("the answer", () => {
  test("without dates is the coming year", async () => {
    expect(await instance().ask()).toBe(
      [
        "2026-12-06: Constitution Day",
        "2026-12-25: Christmas Day",
        "2026-12-30: Turn of the year (until 2027-01-02)",
        "2027-01-06: Epiphany",
      ].join("\n"),
    );
  });

  test.each([
    [{ after_date: "2026-12-25", before_date: "2026-12-26" }, ["2026-12-25: Christmas Day"]],
    [{ after_date: "2026-12-24", before_date: "2026-12-25" }, []],
    [
      { after_date: "2026-12-25T00:00:00Z", before_date: "2026-12-26T00:00:00Z" },
      ["2026-12-25: Christmas Day"],
    ],
    [
      { after_date: "2026-12-01", before_date: "2026-12-25T00:00:00+01:00" },
      ["2026-12-06: Constitution Day"],
    ],
    [
      { after_date: "2026-12-01", before_date: "2026-12-25T23:59:59Z" },
      ["2026-12-06: Constitution Day", "2026-12-25: Christmas Day"],
    ],
    [{ after_date: "2026-12-25T18:00:00Z", before_date: "2026-12-26" }, ["2026-12-25: Christmas Day"]],
    [
      { after_date: "2027-01-02", before_date: "2027-01-03" },
      ["2026-12-30: Turn of the year (until 2027-01-02)"],
    ],
    [{ after_date: "2026-12-01", max_count: 1 }, ["2026-12-06: Constitution Day"]],
    [{ after_date: "2027-12-01", before_date: "2028-01-01", max_count: 100 }, ["2027-12-24: Eve"]],
    [{ before_date: "2026-11-22" }, ["2026-01-06: Epiphany", "2026-10-12: National Day"]],
    [{ before_date: "2026-12-07" }, ["2026-12-06: Constitution Day"]],
    [{ after_date: "2026-02-01", before_date: "2026-03-01" }, []],
  ])("to %j", async (args, expected) => {
    expect(await instance().ask(args)).toBe(
      expected.join("\n") || "The calendar has no holidays in that span.",
    );
  });

  test.each([
    [{ before_date: "soon" }, "before_date must be an RFC 3339 date such as 2026-12-31."],
    [{ after_date: "2026-02-30" }, "after_date must be an RFC 3339 date such as 2026-12-31."],
    [{ after_date: "2026-13-01" }, "after_date must be an RFC 3339 date such as 2026-12-31."],
    [{ after_date: "22/11/2026" }, "after_date must be an RFC 3339 date such as 2026-12-31."],
    [{ before_date: "2026-12-31T25:00:00Z" }, "before_date must be an RFC 3339 date such as 2026-12-31."],
    [{ after_date: "" }, "after_date must be an RFC 3339 date such as 2026-12-31."],
    [{ after_date: "2027-01-05", before_date: "2026-12-25" }, "after_date must be earlier than before_date."],
    [{ after_date: "2026-12-25", before_date: "2026-12-25" }, "after_date must be earlier than before_date."],
  ])("to %j says what is wrong", async (args, message) => {
    expect(await instance().ask(args)).toBe(`Error: ${message}`);
    expect(host.total()).toBe(0);
  });

  test.each([{ max_count: 0 }, { max_count: 1.5 }, { max_count: "two" }, { before_date: 20261231 }])(
    "to %j names the argument",
    async (args) => {
      const content = await instance().ask(args);
      expect(content).toMatch(/^Error: Wrong arguments for get_holidays/);
      expect(content).toContain(Object.keys(args)[0]);
    },
  );

  test("holds everything when no count is given", async () => {
    const days = Array.from({ length: 120 }, (_, day) => new Date(Date.UTC(2027, 0, 1 + day)).toISOString());
    host.serve(
      ics(...days.map((at) => [`DTSTART;VALUE=DATE:${at.slice(0, 10).replaceAll("-", "")}`, "SUMMARY:D"])),
    );
    const content = await instance().ask({ after_date: "2027-01-01" });
    expect(content.split("\n")).toHaveLength(120);
  });
});

describe("the cache", () => {
  test("saves the download for 24 hours, for all instances", async () => {
    const first = await instance().ask();
    expect(await instance().ask()).toBe(first);
    clock.advance(24 * HOUR_MS - MINUTE_MS);
    await instance().ask({ max_count: 1 });
    expect(host.total()).toBe(1);
    clock.advance(2 * MINUTE_MS);
    await instance().ask();
    expect(host.total()).toBe(2);
  });

  test("is filled once by many instances that miss it at once", async () => {
    const fault = host.inject({ delayMs: 150 });
    const answers = await Promise.all(Array.from({ length: 20 }, () => instance().ask()));
    fault();
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toContain("Constitution Day");
    expect(host.total()).toBe(1);
  });

  test("keeps the link out of its keys", async () => {
    await instance().ask();
    const keys = (await suite.rest.result("KEYS", "*")) as string[];
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) expect(key).toMatch(/^(lock:)?holidays:[0-9a-f]{64}$/);
  });

  test("is not needed: without Redis each question downloads", async () => {
    suite.gateway.fault = "refuse";
    const { ask, telemetry } = instance();
    expect(await ask()).toContain("Constitution Day");
    expect(await ask()).toContain("Constitution Day");
    expect(host.total()).toBe(2);
    expect(telemetry.total("RedisUnavailable")).toBeGreaterThan(0);
  });

  test("that another version wrote is a miss", async () => {
    await instance().ask();
    const [key] = (await suite.rest.result("KEYS", "holidays:*")) as [string];
    for (const value of ["", "null", "[]", '{"at":1,"value":[{"day":"2026-12-06"}]}', "<html>"]) {
      await suite.rest.command("SET", key, value);
      expect(await instance().ask()).toContain("Constitution Day");
    }
  });
});

type Trouble = [string, () => void];
const troubles: Trouble[] = [
  ["an error of the server", () => host.inject({ status: 500 })],
  ["a missing page", () => host.inject({ status: 404 })],
  ["a cut", () => host.inject({ cut: true })],
  ["a hang", () => host.inject({ hang: true })],
  ["a web page instead", () => host.inject({ malformed: true })],
  ["over 2 MB", () => host.serve(`${CALENDAR}${" ".repeat(2 * 1024 * 1024)}`)],
];

describe("a host in trouble", () => {
  test.each(troubles)("%s: unavailable when there is nothing in the cache", async (name, trouble) => {
    trouble();
    const { ask, telemetry } = instance({ link, callTimeoutMs: name === "a hang" ? 250 : 5_000 });
    expect(await ask()).toBe(UNAVAILABLE);
    expect(telemetry.warnings.map(({ message }) => message)).toContain(
      "the holiday calendar is unavailable: check HOLIDAY_CALENDAR_LINK",
    );
    // A private calendar's link is a secret.
    expect(inspect(telemetry.warnings, { depth: 9 })).not.toContain("private-");
  });

  test.each(troubles)(
    "%s: what is in the cache serves for a week, after one attempt",
    async (name, trouble) => {
      const before = await instance().ask({ after_date: "2026-12-01" });
      trouble();
      clock.advance(25 * HOUR_MS);
      const { ask, telemetry } = instance({ link, callTimeoutMs: name === "a hang" ? 250 : 5_000 });
      expect(await ask({ after_date: "2026-12-01" })).toBe(before);
      expect(host.total()).toBe(2);
      expect(telemetry.total("CacheStale")).toBe(1);
      clock.advance(6 * 24 * HOUR_MS);
      expect(await ask()).toBe(UNAVAILABLE);
    },
  );

  test.each<[Fault, number]>([
    [{ status: 500, times: 2 }, 3],
    [{ status: 429, times: 1 }, 2],
    [{ cut: true, times: 1 }, 2],
    [{ hang: true, times: 1 }, 2],
  ])("%j passes: attempts %i", async (fault, attempts) => {
    host.inject(fault);
    const { ask, telemetry } = instance({ link, callTimeoutMs: fault.hang ? 250 : 5_000 });
    expect(await ask()).toContain("Constitution Day");
    expect(host.total()).toBe(attempts);
    expect(telemetry.total("Retries")).toBe(attempts - 1);
  });

  test("Retry-After is waited for", async () => {
    host.inject({ status: 503, retryAfterSeconds: 1, times: 1 });
    const startedAt = performance.now();
    expect(await instance().ask()).toContain("Constitution Day");
    expect(performance.now() - startedAt).toBeGreaterThan(990);
  });

  test.each<Trouble & [string, () => void]>([troubles[1]!, troubles[4]!, troubles[5]!])(
    "%s is not tried again",
    async (_, trouble) => {
      trouble();
      await instance().ask();
      expect(host.total()).toBe(1);
    },
  );

  test("unreachable: tried again, then unavailable", async () => {
    const gone = await startTextHost();
    await gone.close();
    const { ask, telemetry } = instance({ link: gone.url });
    expect(await ask()).toBe(UNAVAILABLE);
    expect(telemetry.total("Retries")).toBe(3);
  });

  test("slower than the question's own time: the model is told so", async () => {
    host.inject({ hang: true });
    const startedAt = performance.now();
    expect(await instance().ask({}, 300)).toMatch(
      /^Error: The (tool get_holidays took too long|holiday calendar)/,
    );
    expect(performance.now() - startedAt).toBeLessThan(4_000);
  });
});

describe("the link", () => {
  test("without one the setting is named, and what else there is", async () => {
    expect(await instance({ link: undefined }).ask()).toBe(
      "Error: No holiday calendar is configured (HOLIDAY_CALENDAR_LINK). Ask which country's holidays are meant, and give it as country.",
    );
  });

  test("webcal is https", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const firstByte = new Promise<number>((resolve) => {
      server.on("connection", (socket) =>
        socket.once("data", (data) => {
          resolve(data[0]!);
          socket.destroy();
        }),
      );
    });
    const { port } = server.address() as AddressInfo;
    const answer = instance({ link: `WebCal://127.0.0.1:${port}/a.ics` }).ask();
    const TLS_HANDSHAKE = 0x16;
    expect(await firstByte).toBe(TLS_HANDSHAKE);
    expect(await answer).toBe(UNAVAILABLE);
    server.close();
  });

  test("may redirect", async () => {
    const door: Host = await startHost({
      answer: () => ({ status: 302, headers: { location: link }, body: "" }),
      fail: ({ status }) => ({ status, body: "" }),
      malformed: { status: 200, body: "" },
    });
    expect(await instance({ link: `${door.origin}/${randomUUID()}` }).ask()).toContain("Constitution Day");
    await door.close();
  });

  test("a byte order mark before the calendar does no harm", async () => {
    host.serve(`\uFEFF${CALENDAR}`);
    expect(await instance().ask()).toContain("Constitution Day");
  });
});

test("the local stack's own calendar is read, marked as simulated", async () => {
  const calendar = await startCalendar({ now: () => new Date(clock.now()) });
  const content = await instance({ link: calendar.url }).ask();
  await calendar.close();
  expect(content.split("\n")).toEqual([
    "2026-12-06: Constitution Day (simulated)",
    "2026-12-08: Immaculate Conception (simulated)",
    "2026-12-24: Christmas Eve, early closing (simulated)",
    "2026-12-25: Christmas Day (simulated)",
    "2026-12-26: Saint Stephen's Day (simulated)",
    "2027-01-01: New Year's Day (simulated)",
    "2027-01-06: Epiphany (simulated)",
    "2027-03-26: Good Friday (simulated)",
    "2027-03-29: Easter Monday (simulated)",
    "2027-05-01: Labour Day (simulated)",
    "2027-06-24: Saint John's Day, midsummer (simulated)",
    "2027-08-15: Assumption of Mary (simulated)",
    "2027-09-11: National Day of Catalonia (simulated)",
    "2027-09-23: Festival of la Mercè (simulated) (until 2027-09-25)",
    "2027-10-12: National Day of Spain (simulated)",
    "2027-11-01: All Saints' Day (simulated)",
  ]);
});
