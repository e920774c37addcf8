import { once } from "node:events";
import { cp, mkdir, utimes, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  program,
  type Running,
  removeTemporaryFolders,
  runParley,
  startParley,
  temporaryFolder,
} from "../support/parley.ts";
import { runNode } from "../support/process.ts";

const cli = fileURLToPath(new URL("../../packages/cli/bin/parley-cli.mjs", import.meta.url));

const running: Running[] = [];
afterEach(async () => {
  for (const parley of running) parley.kill("SIGKILL");
  await Promise.all(running.splice(0).map(({ finished }) => finished));
  await removeTemporaryFolders();
});

async function startDev(options: { settings?: string; data?: string } = {}) {
  const parley = await startParley(["dev"], { ...options, env: { PORT: "0" } });
  running.push(parley);
  await seen(parley, /^curl .*\n/m);
  return { parley, url: String(/curl -sS (http:\/\/127\.0\.0\.1:\d+)/.exec(parley.output())?.[1]) };
}

const seen = (parley: Running, pattern: RegExp) =>
  vi.waitFor(() => expect(parley.output()).toMatch(pattern), { timeout: 15_000, interval: 30 });

describe("npm run dev", () => {
  test("serves the API and logs requests; the CLI asks, lists and shows; SIGTERM ends everything", async () => {
    const { parley, url } = await startDev();
    const run = (...args: string[]) => runNode([cli, ...args], { env: { API_URL: url } });

    const asked = await run("ask", "What's the weather in Barcelona?");
    expect(asked.stdout).toMatch(/Barcelona.*simulated/);
    const id = String(/^conversation (conv_\w+): .*Barcelona/.exec(asked.stderr)?.[1]);
    const continued = await run("ask", id, "And tomorrow?");
    expect([continued.code, continued.stdout]).toEqual([0, expect.stringMatching(/tomorrow.*Barcelona/i)]);
    expect((await run("list")).stdout).toMatch(new RegExp(`^${id}  .*Barcelona`, "m"));
    const shown = (await run("show", id)).stdout;
    expect(shown.match(/^(You|Assistant), /gm)).toHaveLength(4);
    expect(await run("show", "conv_nothing")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/.+\n/),
    });

    await seen(parley, /^POST \/v1\/conversations 201 \d+ ms \(cold start \d+ ms\)$/m);
    await seen(parley, new RegExp(`^GET /v1/conversations/${id} 200 \\d+ ms`, "m"));
    parley.kill("SIGTERM");
    expect((await parley.finished).code).toBe(143);
    await parley.gone();
    expect((await run("list")).code).toBe(3);
  });

  test("the curl line that it prints works as it stands", async () => {
    const { parley } = await startDev();
    const [, url = "", header = "", body = ""] =
      /^curl -sS (\S+) -H '([^']+)' -d '([^']+)'$/m.exec(parley.output()) ?? [];
    const [name = "", value = ""] = header.split(": ");
    const response = await fetch(url, { method: "POST", headers: { [name]: value }, body });
    expect(await response.json()).toMatchObject({ reply: expect.stringContaining("Barcelona") });
  });

  test("fresh functions when their source changes, without a pause in service", async () => {
    const { parley, url } = await startDev();
    await (await fetch(`${url}/v1/conversations`)).text();
    const source = fileURLToPath(new URL("../../packages/functions/src/api/routes.ts", import.meta.url));
    const now = new Date();
    await utimes(source, now, now);
    await seen(parley, /packages\/functions\/src\/api\/routes\.ts changed/);
    expect((await fetch(`${url}/v1/conversations`)).status).toBe(200);
    await vi.waitFor(() =>
      expect(parley.output().match(/GET \/v1\/conversations 200 .*cold start/g)).toHaveLength(2),
    );
  });

  test("a fresh stack when the settings change, after a mistake in them too", async () => {
    const data = await temporaryFolder();
    const settings = join(data, "settings.env");
    await writeFile(settings, "");
    const { parley } = await startDev({ data, settings });
    expect(parley.output()).toMatch(/Weather +local/);
    await writeFile(settings, "WEATHER_API_KEY=mine\n");
    await seen(
      parley,
      /changed, starting again\n(.*\n)*.*Weather +real +api\.weatherapi\.com, then api\.open-meteo\.com\n(.*\n)*curl/,
    );
    await writeFile(settings, "UPSTASH_REDIS_REST_URL=http://127.0.0.1:1\n");
    await seen(parley, /^parley: UPSTASH_REDIS_REST_URL is set, but UPSTASH_REDIS_REST_TOKEN is not$/m);
    const before = parley.output().length;
    await writeFile(settings, "# nothing\n");
    await vi.waitFor(() => expect(parley.output().slice(before)).toMatch(/Weather +local/), {
      timeout: 10_000,
    });
    parley.kill("SIGINT");
    expect((await parley.finished).code).toBe(0);
  });

  test("a port that is taken is one line that names PORT, and leaves nothing behind", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const parley = await startParley(["dev"], { stdin: "", env: { PORT: String(port) } });
    const { code, stdout, stderr } = await parley.finished;
    taken.close();
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toBe(
      `parley: port ${port} is taken; choose another with PORT, as in PORT=3001 npm run dev\n`,
    );
    await parley.gone();
  });

  test.each(["http", "70000", "-1", "3.5"])("PORT=%s is wrong usage", async (PORT) => {
    const { code, stderr } = await runParley(["dev"], { env: { PORT } });
    expect([code, stderr]).toEqual([2, `parley: PORT is ${PORT}, which is not a port number\n`]);
  });
});

describe("before anything runs", () => {
  // Stands in for a machine whose own Node is older; what is loaded afterwards would fail on one in its own way.
  const asNode20 = [
    "--import",
    `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.11.0"}})`,
  ];

  test.each([program, cli])("an old Node gets one line: %s", async (file) => {
    const { code, stdout, stderr } = await runNode([...asNode20, file, "--help"]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^Parley needs Node 24: run it through npm .*20\.11\.0\n$/);
  });

  test("a clone where nothing is installed gets one line", async () => {
    const clone = await temporaryFolder();
    await mkdir(join(clone, "packages/local/bin"), { recursive: true });
    await cp(program, join(clone, "packages/local/bin/parley.mjs"));
    for (const node of [[], asNode20]) {
      const { code, stderr } = await runNode([
        ...node,
        join(clone, "packages/local/bin/parley.mjs"),
        "start",
      ]);
      expect([code, stderr]).toEqual([1, "parley: nothing is installed yet: run npm ci first\n"]);
    }
  });

  test("--help says what there is", async () => {
    for (const args of [["--help"], ["start", "-h"], ["dev", "--help"]]) {
      const { code, stdout, stderr } = await runNode([program, ...args]);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toContain("npm run dev");
    }
  });
});
