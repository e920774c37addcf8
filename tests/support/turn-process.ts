import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ConverseRequest } from "@parley/core/conversation/conversations";
import type { TurnResult } from "@parley/core/conversation/turns";
import type { Engines } from "./gate.ts";
import { quietEnvironment } from "./process.ts";

const PROGRAM = fileURLToPath(new URL("turn-child.ts", import.meta.url));

export type ChildTurn = Omit<ConverseRequest, "deadline"> & { deadlineMs: number };

/** Starts an instance that talks to these engines; `compileCache` is a folder that its successors share. */
export async function startTurnProcess(engines: Engines, options: { compileCache: string }) {
  const child = spawn(process.execPath, [PROGRAM], {
    env: {
      ...quietEnvironment(),
      NODE_COMPILE_CACHE: options.compileCache,
      AWS_ENDPOINT_URL_DYNAMODB: engines.dynamo,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
      UPSTASH_REDIS_REST_URL: engines.redis,
      UPSTASH_REDIS_REST_TOKEN: "test",
      OPENAI_API_KEY: "test",
      OPENAI_BASE_URL: engines.model,
      OPENAI_MODEL: "offline-model",
      WEATHER_PROVIDERS: "weatherapi",
      WEATHER_API_KEY: "test",
      WEATHER_API_URL: engines.weather,
      POWERTOOLS_METRICS_DISABLED: "true",
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

  async function hear(word: string): Promise<unknown> {
    const { value, done } = await lines.next();
    const [, heard, json] = /^(\w+) (.*)$/.exec(value ?? "") ?? [];
    if (done || heard !== word) throw new Error(`expected ${word}, heard ${done ? "the end" : value}`);
    return JSON.parse(json ?? "");
  }
  await hear("ready");

  return {
    ask: (turn: ChildTurn) => child.stdin.write(`${JSON.stringify(turn)}\n`),
    result: () => hear("result") as Promise<TurnResult>,
    kill: () => void child.kill("SIGKILL"),
    /** The signal that ended it. */
    ended: async () => (await exited)[1],
  };
}
