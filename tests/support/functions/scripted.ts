import { setTimeout as sleep } from "node:timers/promises";
import { threadId } from "node:worker_threads";
import type { APIGatewayProxyEventV2, Context } from "aws-lambda";

let invocations = 0;

/** A handler that does what the `do` query parameter says; state shows which instance served and how often. */
export async function handler(event: APIGatewayProxyEventV2, context: Context): Promise<unknown> {
  invocations += 1;
  const { do: action = "echo", value = "" } = event.queryStringParameters ?? {};
  switch (action) {
    case "echo":
      return { event, context, remaining: context.getRemainingTimeInMillis() };
    case "return":
      return value === "undefined" ? undefined : JSON.parse(value);
    case "sleep":
      await sleep(Number(value));
      return { instance: threadId, invocations };
    case "spin":
      for (;;);
    case "throw":
      throw new TypeError("thrown on purpose");
    case "exit":
      return process.exit(3);
    case "crash":
      setTimeout(() => {
        throw new Error("uncaught on purpose");
      });
      return await sleep(60_000);
    case "exhaust": {
      const hoard: number[][] = [];
      for (;;) hoard.push(new Array<number>(1_000_000).fill(Math.random()));
    }
    case "huge":
      return { statusCode: 200, body: "x".repeat(6_291_556) };
    case "print":
      process.stdout.write(`${value}\n`);
      process.stderr.write(`${value} aside\n`);
      return {};
    case "setenv":
      process.env["PARLEY_TEST_MARK"] = value;
      return { env: process.env };
    case "env":
      return { env: process.env };
    default:
      throw new Error(`unknown action ${action}`);
  }
}
