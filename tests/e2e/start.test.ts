import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import {
  hasTerminals,
  type Running,
  removeTemporaryFolders,
  runParley,
  startOnTerminal,
  startParley,
  temporaryFolder,
} from "../support/parley.ts";

const WEATHER = /Barcelona.* -?\d+(\.\d+)? °C.*simulated/;
/** As Barcelona counts days. */
const tomorrow = () =>
  new Intl.DateTimeFormat("sv-SE", { timeZone: "Europe/Madrid" }).format(Date.now() + 24 * 3_600_000);

/** A model that takes requests and never answers. */
const silence = createServer(() => {});
let silentModel: { OPENAI_BASE_URL: string };
beforeAll(async () => {
  silence.listen(0, "127.0.0.1");
  await once(silence, "listening");
  silentModel = { OPENAI_BASE_URL: `http://127.0.0.1:${(silence.address() as AddressInfo).port}/v1` };
});
afterAll(() => {
  silence.close();
  silence.closeAllConnections();
});

const running: Running[] = [];
afterEach(async () => {
  for (const parley of running) parley.kill("SIGKILL");
  await Promise.all(running.splice(0).map(({ finished }) => finished));
  await removeTemporaryFolders();
});

async function keep(starting: Promise<Running>): Promise<Running> {
  const parley = await starting;
  running.push(parley);
  return parley;
}

const waitFor = (parley: Running, pattern: RegExp) =>
  vi.waitFor(() => expect(parley.output()).toMatch(pattern), { timeout: 15_000, interval: 30 });

async function expectEnd(parley: Running, code: number): Promise<void> {
  expect((await parley.finished).code).toBe(code);
  await parley.gone();
}

describe("a question on the command line", () => {
  test("is answered through the weather tool, on stdout; the table of parts is on stderr", async () => {
    const { code, stdout, stderr } = await runParley(["start", "What's the weather", "in Barcelona?"]);
    expect(stdout).toMatch(WEATHER);
    expect(stdout.trim().split("\n")).toHaveLength(1);
    expect(code).toBe(0);
    for (const part of ["Model", "Weather", "Holidays", "Redis", "Store", "API"]) {
      expect(stderr).toMatch(new RegExp(`^  ${part} +local  \\S`, "m"));
    }
  });

  test("is answered on a machine without redis-server", async () => {
    const env = { PATH: await temporaryFolder() };
    const { code, stdout, stderr } = await runParley(["start", "What's the weather in Barcelona?"], { env });
    expect(stdout).toMatch(WEATHER);
    expect(stderr).toMatch(/^ {2}Redis +local {2}embedded/m);
    expect(code).toBe(0);
  });

  test("--quiet leaves nothing on stderr", async () => {
    expect(await runParley(["start", "-q", "hello"])).toMatchObject({ code: 0, stderr: "" });
  });

  test("a failure is one line on stderr and exit code 1", async () => {
    const env = { OPENAI_BASE_URL: "http://127.0.0.1:1/v1", RETRY_MAX_ATTEMPTS: "0" };
    const { code, stdout, stderr } = await runParley(["start", "-q", "hello"], { env });
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^parley: .+\n$/);
  });

  test("is answered by either of OpenAI's APIs, and by no other", async () => {
    for (const api of ["chat", "responses"]) {
      const env = { OPENAI_API: api };
      const { code, stdout } = await runParley(["start", "-q", "What's the weather in Barcelona?"], { env });
      expect([code, stdout]).toEqual([0, expect.stringMatching(WEATHER)]);
    }
    const { code, stderr } = await runParley(["start", "-q", "hello"], { env: { OPENAI_API: "smoke" } });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^parley: .*OPENAI_API.*\n$/);
    expect(stderr).not.toContain("smoke");
  });

  test("a setting that cannot work is one line on stderr and exit code 1", async () => {
    const env = { REDIS_URL: "redis://127.0.0.1:1" };
    const parley = await keep(startParley(["start", "-q", "hello"], { env, stdin: "" }));
    const { code, stderr } = await parley.finished;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^parley: REDIS_URL .+\n$/);
    await parley.gone();
  });

  test.each([
    [["start", " "], "parley: the question is empty\n"],
    [["start", "--nope"], expect.stringMatching(/^parley: .*--nope.*\n$/)],
    [["sing"], "parley: there is no command sing; the commands are start and dev\n"],
  ])("%j is wrong usage", async (args, stderr) => {
    expect(await runParley(args)).toMatchObject({ code: 2, stdout: "", stderr });
  });

  test("works while another Parley has the store", async () => {
    const data = await temporaryFolder();
    const first = await keep(startParley(["dev"], { data, env: { PORT: "0" } }));
    await waitFor(first, /curl/);
    const { code, stdout, stderr } = await runParley(["start", "What's the weather in Barcelona?"], { data });
    expect([code, stderr]).toEqual([0, expect.stringContaining("in memory only")]);
    expect(stdout).toMatch(WEATHER);
  });
});

describe("questions on standard input", () => {
  test("are answered line by line as one conversation, blank lines skipped", async () => {
    const stdin = "What's the weather in Barcelona?\n\n  \r\nAnd tomorrow?";
    const { code, stdout } = await runParley(["start"], { stdin });
    const answers = stdout.trimEnd().split("\n");
    expect(answers).toHaveLength(2);
    expect(answers[0]).toMatch(WEATHER);
    expect(answers[1]).toContain("Barcelona");
    expect(answers[1]).toContain(tomorrow());
    expect(answers[1]).toMatch(/-?\d+(\.\d+)? to -?\d+(\.\d+)? °C/);
    expect(code).toBe(0);
  });

  test("one that fails is told on stderr and in the exit code, and the next is still answered", async () => {
    const stdin = `${"x".repeat(16 * 1024 + 1)}\nWhat's the weather in Barcelona?\n`;
    const { code, stdout, stderr } = await runParley(["start", "-q"], { stdin });
    expect(code).toBe(1);
    expect(stdout).toMatch(WEATHER);
    expect(stderr).toMatch(/^parley: .+\n$/);
  });

  test("none at all is said", async () => {
    const { code, stdout, stderr } = await runParley(["start", "-q"], { stdin: "\n" });
    expect([code, stdout]).toEqual([0, ""]);
    expect(stderr).toContain("no question");
  });
});

describe("an interrupted answer", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("%s ends everything at once, with exit code %i", async (signal, code) => {
    const parley = await keep(startParley(["start", "hello"], { env: silentModel }));
    await once(silence, "request");
    if (process.platform === "linux") expect(parley.survivors()).not.toEqual([]);
    parley.kill(signal);
    await expectEnd(parley, code);
  });

  test("a reader that goes away ends it, too", async () => {
    const parley = await keep(startParley(["start", "-q"]));
    parley.hangUp();
    parley.send("hello\n");
    await expectEnd(parley, 141);
  });
});

if (!hasTerminals)
  process.stdout.write("no /usr/bin/script to make a terminal with: the chat is not tested\n");

describe.runIf(hasTerminals)("a chat on a terminal", () => {
  test("answers, starts over, keeps its history, and Ctrl-C at the prompt leaves cleanly", async () => {
    const data = await temporaryFolder();
    const parley = await keep(startOnTerminal(["start"], { data }));
    await waitFor(parley, /> /);
    parley.send("What's the weather in Barcelona?\r");
    await waitFor(parley, WEATHER);
    parley.send("And tomorrow?\r");
    await waitFor(parley, new RegExp(`${tomorrow()} in Barcelona`));
    parley.send("/new\r");
    await waitFor(parley, /A new conversation/);
    const before = parley.output().length;
    parley.send("And tomorrow?\r");
    await vi.waitFor(() => expect(parley.output().slice(before)).toMatch(/offline model/), {
      timeout: 10_000,
    });
    expect(parley.output().slice(before)).not.toContain("Barcelona");
    parley.send("half a line\u0003");
    await expectEnd(parley, 0);
    expect(await readFile(join(data, "history"), "utf8")).toBe(
      "What's the weather in Barcelona?\nAnd tomorrow?\nAnd tomorrow?\n",
    );

    const again = await keep(startOnTerminal(["start", "-q"], { data }));
    await waitFor(again, /> /);
    again.send("\u001b[A\u001b[A");
    await waitFor(again, /What's the weather in Barcelona\?/);
    again.send("\u0015/quit\r");
    await expectEnd(again, 0);
  });

  test("what is typed while it answers is asked next", async () => {
    const parley = await keep(startOnTerminal(["start", "-q"]));
    await waitFor(parley, /> /);
    parley.send("What's the weather in Barcelona?\rAnd tomorrow?\r");
    await waitFor(parley, WEATHER);
    await waitFor(parley, new RegExp(`${tomorrow()} in Barcelona`));
    parley.send("\u0003");
    await expectEnd(parley, 0);
  });

  test("Ctrl-D leaves", async () => {
    const parley = await keep(startOnTerminal(["start", "-q"]));
    await waitFor(parley, /> /);
    parley.send("\u0004");
    await expectEnd(parley, 0);
  });

  test("shows the seconds while it waits, and Ctrl-C leaves in the middle of an answer", async () => {
    const parley = await keep(startOnTerminal(["start", "-q"], { env: silentModel }));
    await waitFor(parley, /> /);
    parley.send("hello\r");
    await waitFor(parley, /1\.\d s/);
    parley.send("\u0003");
    await expectEnd(parley, 0);
  });

  test("a terminal that is closed ends it", async () => {
    const parley = await keep(startOnTerminal(["start", "-q"], { env: silentModel }));
    await waitFor(parley, /> /);
    parley.kill("SIGKILL");
    await parley.finished;
    await parley.gone();
  });
});
