import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  type Running,
  removeTemporaryFolders,
  runParley,
  startParley,
  temporaryFolder,
} from "../support/parley.ts";

// Piped input is sent line by line, each line after a while in which the bot has said nothing more.
vi.setConfig({ testTimeout: 60_000 });

const running: Running[] = [];
const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
  for (const parley of running) parley.kill("SIGKILL");
  await Promise.all(running.splice(0).map(({ finished }) => finished));
  await removeTemporaryFolders();
});

const WEATHER = /^In Barcelona, .* it is now -?\d+(\.\d+)? °C.*simulated/;
/** As Barcelona counts days. */
const tomorrow = () =>
  new Intl.DateTimeFormat("sv-SE", { timeZone: "Europe/Madrid" }).format(Date.now() + 24 * 3_600_000);

/** What the bot said, without the line that names it. */
const messagesIn = (output: string) =>
  output
    .split(/^Parley\b.*\n/m)
    .slice(1)
    .map((text) => text.replace(/^typing\.\.\.\n/gm, "").trim());

async function keep(starting: Promise<Running>): Promise<Running> {
  const parley = await starting;
  running.push(parley);
  return parley;
}

async function startDev(data: string): Promise<Running> {
  const dev = await keep(startParley(["dev"], { data, env: { PORT: "0" } }));
  await vi.waitFor(() => expect(dev.output()).toMatch(/^curl /m), { timeout: 15_000, interval: 30 });
  return dev;
}

describe("telegram chat on a stack of its own", () => {
  test("weather, a follow-up, a new conversation, a long answer with code, a place, the state", async () => {
    const parley = await keep(
      startParley(["telegram", "chat"], {
        stdin: [
          "What's the weather in Barcelona?",
          "And tomorrow?",
          "/new",
          "And tomorrow?",
          "Give me a 10,000-character answer with a long code block",
          ":location 41.4,2.2",
          "/status",
        ].join("\n"),
        // Nobody can be another user's client: real bots stay out of this.
        env: { TELEGRAM_BOTS: "real_bot=1234567:a-real-token", TELEGRAM_API_ROOT: "http://127.0.0.1:1" },
      }),
    );
    const { code, stdout, stderr } = await parley.finished;
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^ {2}Telegram +local /m)]);
    expect(stdout).toMatch(/^You are talking to @parley_local_bot/);
    expect(stdout).toMatch(/^typing\.\.\.$/m);

    const [weather, forecast, fresh, lost, ...rest] = messagesIn(stdout);
    expect(weather).toMatch(WEATHER);
    expect(forecast).toMatch(new RegExp(`${tomorrow()} in Barcelona`));
    expect(fresh).toBe("A new conversation: I start from scratch.");
    expect(lost).not.toContain("Barcelona");
    const [first, second, third, place, state, ...more] = rest;
    for (const part of [first, second, third]) expect(part).toMatch(/^\| python\n(\| .*\n){20,}/m);
    expect(`${first}${second}${third}`.length).toBeGreaterThan(10_000);
    expect(stepsIn(`${first}\n${second}\n${third}`)).toEqual(
      Array.from({ length: stepsIn(`${third}`).at(-1) ?? 0 }, (_, at) => at + 1),
    );
    expect(place).toMatch(/°C.*simulated/);
    expect(state).toMatch(/^Conversation: .+\nMessages from you: 3\nLast one: just now$/);
    expect(more).toEqual([]);
    await parley.gone();
  });

  test("a signal ends it, and whatever it started", async () => {
    const parley = await keep(startParley(["telegram", "chat"]));
    await vi.waitFor(() => expect(parley.output()).toContain("You are talking to"), { timeout: 15_000 });
    parley.kill("SIGTERM");
    await parley.finished;
    await parley.gone();
  });
});

/** Numbers of the functions in the simulated model's long code. */
const stepsIn = (text: string) =>
  [...text.matchAll(/^\| def step_(\d+)\(/gm)].map(([, number]) => Number(number));

describe("telegram chat beside npm run dev", () => {
  test("talks to its bot, through its webhook", async () => {
    const data = await temporaryFolder();
    const dev = await startDev(data);
    const chat = () => runParley(["telegram", "chat"], { data, stdin: "What's the weather in Barcelona?\n" });
    for (const { code, stdout, stderr } of [await chat(), await chat()]) {
      expect([code, stderr]).toEqual([0, ""]);
      expect(messagesIn(stdout)).toEqual([expect.stringMatching(WEATHER)]);
    }
    expect(dev.output().match(/^POST \/telegram\/parley_local_bot 200 /gm)).toHaveLength(2);
  });

  test("says so when that ends, and has a stack of its own afterwards", async () => {
    const data = await temporaryFolder();
    const dev = await startDev(data);
    const chat = await keep(startParley(["telegram", "chat"], { data }));
    await vi.waitFor(() => expect(chat.output()).toContain("You are talking to"), { timeout: 15_000 });
    dev.kill("SIGKILL");
    const { code, stderr } = await chat.finished;
    expect([code, stderr]).toEqual([1, "telegram: the local Bot API is gone\n"]);

    // What told of it is still there.
    const again = await runParley(["telegram", "chat"], { data, stdin: ":help\n" });
    expect([again.code, again.stderr]).toEqual([0, expect.stringMatching(/^ {2}Telegram +local /m)]);
  });

  test.each([
    ["no address", async () => "nowhere"],
    ["nothing", async () => ""],
    ["an address where nobody is", async () => "http://127.0.0.1:1"],
    ["somebody silent", () => somebody(() => {})],
    ["somebody else", () => somebody((_request, response) => response.end("{}"))],
  ])("what tells of it may be out of date: %s", async (_kind, urlOf) => {
    const data = await temporaryFolder();
    await writeFile(join(data, "telegram-api-root"), await urlOf());
    const { code, stdout } = await runParley(["telegram", "chat"], { data, stdin: ":help\n" });
    expect([code, stdout]).toEqual([0, expect.stringContaining("You are talking to @parley_local_bot")]);
  });
});

async function somebody(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
