import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { access, constants } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, delimiter, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { RedisBackend } from "./backend.ts";
import { askServer, type ServerInfo } from "./probe.ts";

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

interface Running extends ServerInfo {
  child: Child;
  port: number;
}

const NAMES = ["redis-server", "valkey-server"];
const START_TIMEOUT_MS = 5_000;
const PORT_ATTEMPTS = 3;

// The server must not outlive us, even when we are killed and run no handler: then our end of its stdin closes,
// `read` returns, and the watcher kills its process group, which is the server's: the shell becomes the server. As
// a member the watcher keeps the group's id from being reused, so that after the server's own end it hits only
// itself. SIGKILL is safe, as nothing is ever saved. The watcher reads descriptor 3 because POSIX gives the stdin
// of a background job to /dev/null.
const SUPERVISED = `exec 3<&0
(read -r _ <&3; kill -9 -$$) >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-`;

/** The path of the first `redis-server` or `valkey-server` on PATH. */
export async function findRedisServer(): Promise<string | undefined> {
  if (process.platform === "win32") return undefined; // no sh to supervise it
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  for (const path of NAMES.flatMap((name) => folders.map((folder) => join(folder, name)))) {
    const isExecutable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isExecutable) return path;
  }
  return undefined;
}

/** Starts `binary` on a free port of 127.0.0.1, in memory only. It ends with this process, however that ends. */
export async function startRedisServer(binary: string): Promise<RedisBackend> {
  let running = await launchOnFreePort(binary);
  const { port, version } = running;
  return {
    kind: "redis-server",
    description: `${basename(binary)} ${version} from PATH, on port ${port}`,
    redisUrl: `redis://127.0.0.1:${port}`,
    get pid() {
      return running.pid;
    },
    restart: async () => {
      await end(running.child);
      running = await launch(binary, port);
    },
    close: () => end(running.child),
  };
}

// Between finding a port free and the server's bind somebody else may take it.
async function launchOnFreePort(binary: string, attemptsLeft = PORT_ATTEMPTS): Promise<Running> {
  try {
    return await launch(binary, await freePort());
  } catch (error) {
    if (attemptsLeft === 1) throw error;
    return launchOnFreePort(binary, attemptsLeft - 1);
  }
}

async function launch(binary: string, port: number): Promise<Running> {
  const settings = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  const args = [...settings, "--loglevel", "warning", "--dir", tmpdir()];
  // A session of its own, so that Ctrl-C in the terminal reaches us and not the server under us.
  const child = spawn("/bin/sh", ["-c", SUPERVISED, "sh", binary, ...args], {
    detached: true,
    stdio: "pipe",
  });
  const output = collectTail(child);
  child.on("error", () => {}); // a shell that cannot be spawned leaves a child without a pid
  try {
    return { child, port, ...(await whenReady(child, port)) };
  } catch (error) {
    await end(child);
    const detail = output().trim().split("\n").at(-1) || (error instanceof Error ? error.message : "");
    throw new Error(`${basename(binary)} would not start: ${detail}`, { cause: error });
  }
}

async function whenReady(child: Child, port: number): Promise<ServerInfo> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (isRunning(child) && Date.now() < deadline) {
    const info = await askServer(`redis://127.0.0.1:${port}`).catch(() => undefined);
    if (info === undefined) {
      await delay(10);
    } else if (info.pid === child.pid) {
      return info;
    } else {
      throw new Error(`port ${port} belongs to another server`); // while ours is failing to bind it
    }
  }
  throw new Error(isRunning(child) ? "no answer" : `exited with ${child.exitCode ?? child.signalCode}`);
}

async function end(child: Child): Promise<void> {
  if (!isRunning(child)) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

function isRunning(child: Child): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

function collectTail(child: Child): () => string {
  let tail = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      tail = (tail + text).slice(-2_000);
    });
  }
  return () => tail;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
