import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { startRedisBackend } from "../../packages/local/src/upstash/backend.ts";
import { findRedisServer } from "../../packages/local/src/upstash/redis-server.ts";
import { startUpstash } from "../../packages/local/src/upstash/server.ts";
import { restClient } from "../support/upstash-rest.ts";

// As much of a Redis server as starting and ending one needs, for machines without one.
const STAND_IN = `#!${process.execPath}
const option = (name) => process.argv[process.argv.indexOf(name) + 1];
const info = "redis_version:1.2.3\\r\\nprocess_id:" + process.pid + "\\r\\n";
const answer = "$" + info.length + "\\r\\n" + info + "\\r\\n";
require("node:net").createServer((socket) => {
  socket.on("error", () => {}).on("data", () => socket.write(answer));
}).listen(Number(option("--port")), option("--bind"));
`;
const BROKEN = `#!${process.execPath}
process.stderr.write("cannot open shared object file\\n");
process.exit(127);
`;

let folder: string;
const closers: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "redis-backend-"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closers.splice(0).reverse()) await close();
  await rm(folder, { recursive: true });
});

async function onlyOnPath(name: string, program: string): Promise<void> {
  await writeFile(join(folder, name), program);
  await chmod(join(folder, name), 0o755);
  vi.stubEnv("PATH", folder);
}

async function started(options: Parameters<typeof startRedisBackend>[0]) {
  const backend = await startRedisBackend(options);
  closers.push(backend.close);
  return backend;
}

async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(async () => server.close());
  return (server.address() as AddressInfo).port;
}

/** Whether the server or its watcher lives; not counting the dead whom nobody has reaped yet. */
async function isGroupAlive(leader: number): Promise<boolean> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  if (pids.length === 0) return isSignallable(-leader); // not Linux
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, "utf8").catch(() => "")));
  // "pid (name) state ppid pgrp ...", where the name may hold anything
  const members = stats.map((stat) => stat.slice(stat.lastIndexOf(")") + 2).split(" "));
  return members.some(([state, , group]) => group === String(leader) && state !== "Z");
}

function isSignallable(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function groupEnds(pid: number): Promise<void> {
  await vi.waitFor(async () => expect(await isGroupAlive(pid)).toBe(false), { timeout: 5_000, interval: 10 });
}

describe("choice of engine", () => {
  test("without a server on PATH the embedded engine runs, and says why", async () => {
    vi.stubEnv("PATH", folder);
    const backend = await started({});
    expect(backend.kind).toBe("embedded");
    expect(backend.description).toMatch(/^embedded engine .*no redis-server or valkey-server on PATH/);
    await expect(startRedisBackend({ engine: "redis-server" })).rejects.toThrow(
      "no redis-server or valkey-server on PATH",
    );
  });

  test.each(["redis-server", "valkey-server"])(
    "a %s on PATH is started, and ended by close",
    async (name) => {
      await onlyOnPath(name, STAND_IN);
      const backend = await started({});
      expect(backend.kind).toBe("redis-server");
      expect(backend.description).toContain(`${name} 1.2.3 from PATH`);
      expect(await isGroupAlive(backend.pid!)).toBe(true);
      const second = await started({});
      expect(second.redisUrl).not.toBe(backend.redisUrl);
      await backend.close();
      await groupEnds(backend.pid!);
      expect(await isGroupAlive(second.pid!)).toBe(true);
    },
  );

  test("a server that will not start gives way to the embedded engine, unless it was asked for", async () => {
    await onlyOnPath("redis-server", BROKEN);
    const reason = "redis-server would not start: cannot open shared object file";
    expect((await started({})).description).toContain(reason);
    await expect(startRedisBackend({ engine: "redis-server" })).rejects.toThrow(reason);
  });

  test("the embedded engine can be asked for", async () => {
    await onlyOnPath("redis-server", STAND_IN);
    expect((await started({ engine: "embedded" })).kind).toBe("embedded");
  });

  test("nothing listens beyond the loopback interface", async ({ skip }) => {
    const outer = Object.values(networkInterfaces()).flat();
    const address = outer.find((candidate) => candidate?.family === "IPv4" && !candidate.internal)?.address;
    if (address === undefined) return skip("this machine has no interface but loopback");
    const backend = await started({ engine: "embedded" });
    const gateway = await startUpstash({ backend, token: "a-token" });
    closers.push(gateway.close);
    for (const url of [backend.redisUrl, gateway.url]) {
      const [error] = await once(connect(Number(new URL(url).port), address), "error").catch((cause) => [
        cause,
      ]);
      expect(error).toMatchObject({ code: "ECONNREFUSED" });
    }
  });
});

describe("REDIS_URL", () => {
  async function refusal(redisUrl: string): Promise<string> {
    const startedAt = performance.now();
    const error = await startRedisBackend({ redisUrl }).then(
      () => new Error("it was accepted"),
      (cause: Error) => cause,
    );
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(error.message).toMatch(/^REDIS_URL .+$/);
    return error.message;
  }

  test("wins over any engine and is left running", async () => {
    await onlyOnPath("redis-server", STAND_IN);
    const owner = await started({ engine: "embedded" });
    const backend = await startRedisBackend({ redisUrl: `${owner.redisUrl}/3`, engine: "redis-server" });
    expect(backend).toMatchObject({ kind: "external", description: `REDIS_URL ${owner.redisUrl}/3` });
    const gateway = await startUpstash({ backend, token: "a-token" });
    closers.push(gateway.close);
    await backend.close();
    expect(await restClient(gateway).result("PING")).toBe("PONG");
  });

  test("that nothing listens on is named in one line, without its password", async () => {
    const server = createServer();
    const port = await listening(server);
    server.close();
    const message = await refusal(`redis://user:s3cret@127.0.0.1:${port}`);
    expect(message).toBe(
      `REDIS_URL redis://127.0.0.1:${port} cannot be used: connect ECONNREFUSED 127.0.0.1:${port}`,
    );
  });

  test("that accepts and stays silent is given up in seconds", async () => {
    const server = createServer((socket) => socket.on("error", () => {}).resume());
    const port = await listening(server);
    expect(await refusal(`redis://127.0.0.1:${port}`)).toContain("timed out");
  });

  test("whose database does not exist is refused", async () => {
    const { redisUrl } = await started({ engine: "embedded" });
    expect(await refusal(`${redisUrl}/99`)).toContain("DB index is out of range");
  });

  test("that is no Redis, or no address at all, is refused", async () => {
    const server = createHttpServer((_request, response) => response.end("a web page"));
    const port = await listening(server);
    await refusal(`redis://127.0.0.1:${port}`);
    expect(await refusal("http://127.0.0.1:6379")).toContain("redis://127.0.0.1:6379");
    await refusal("localhost:6379");
  });
});

const realRedis = await findRedisServer();
const servers = [{ name: "a stand-in", path: undefined as string | undefined }];
if (realRedis !== undefined) servers.push({ name: "a real server", path: dirname(realRedis) });
else
  process.stdout.write("skipped: the process of a real Redis (no redis-server or valkey-server on PATH)\n");

describe.each(servers)("the process of $name", ({ path }) => {
  async function usePath(): Promise<void> {
    if (path === undefined) await onlyOnPath("redis-server", STAND_IN);
    else vi.stubEnv("PATH", path);
  }

  async function holder() {
    await usePath();
    const script = fileURLToPath(new URL("../support/hold-redis.ts", import.meta.url));
    // A group of its own, as a shell gives to what it starts.
    const child = spawn(process.execPath, [script], { stdio: ["pipe", "pipe", "ignore"], detached: true });
    closers.push(async () => child.kill("SIGKILL"));
    const [line] = await once(child.stdout, "data");
    const { pid } = JSON.parse(String(line)) as { pid: number };
    expect(await isGroupAlive(pid)).toBe(true);
    return { child, pid };
  }

  test("ends with its owner when that is killed without a chance to act", async () => {
    const { child, pid } = await holder();
    child.kill("SIGKILL");
    await groupEnds(pid);
  });

  test.each(["exit", "crash"])("ends with its owner when that leaves by %s, without close", async (how) => {
    const { child, pid } = await holder();
    child.stdin.write(how);
    await groupEnds(pid);
  });

  test("is out of reach of the terminal's Ctrl-C, which its owner handles", async () => {
    const { child, pid } = await holder();
    process.kill(-child.pid!, "SIGINT");
    await once(child.stdout, "data");
    await delay(50);
    expect(await isGroupAlive(pid)).toBe(true);
    child.kill("SIGKILL");
    await groupEnds(pid);
  });

  test("may die on its own: its watcher goes too, and restart brings it back on its port", async () => {
    await usePath();
    const backend = await started({ engine: "redis-server" });
    const { pid, redisUrl } = backend;
    process.kill(pid!, "SIGKILL");
    await groupEnds(pid!);
    await backend.restart?.();
    expect(backend.redisUrl).toBe(redisUrl);
    expect(backend.pid).not.toBe(pid);
    expect((await startRedisBackend({ redisUrl })).kind).toBe("external");
    await backend.close();
    await backend.close();
    await groupEnds(backend.pid!);
  });
});
