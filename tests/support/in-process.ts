import { createHash, randomBytes, randomUUID } from "node:crypto";
import { routes } from "@parley/functions/api/routes";
import { splitUrl, toEvent } from "@parley/local/gateway/http-event";
import { type HttpResult, toHttpResult } from "@parley/local/gateway/http-result";
import { matchRoute } from "@parley/local/gateway/route-table";
import type { Context } from "aws-lambda";
import { vi } from "vitest";

/** The folder that routes' entries are relative to, for gateways that tests start themselves. */
export const TASK_ROOT = new URL("../../packages/functions/src/", import.meta.url);

export type Key = { id: string; secret: string };
export const newSecret = (id: string): Key => ({ id, secret: `pk_${randomBytes(32).toString("base64url")}` });
export const apiKeysOf = (...keys: readonly Key[]) =>
  keys.map(({ id, secret }) => `${id}:${createHash("sha256").update(secret).digest("hex")}`).join(",");

export type FunctionRequest = {
  method?: string;
  /** Path and query as on the request line. */
  target: string;
  headers?: Record<string, string | string[]>;
  body?: Buffer | string;
  /** The address that API Gateway sees. */
  from?: string;
  /** The function's, in milliseconds. */
  timeoutMs?: number;
};

/** `json` is undefined when the body is not JSON. */
export type FunctionAnswer = HttpResult & { text: string; json: unknown };

type Handler = (event: unknown, context: Context) => Promise<unknown>;

/**
 * One instance of every function in this process, behind the local gateway's own routes, events and results; all that is
 * missing is the socket. Modules are loaded anew, with their settings and clients; one set at a time.
 * `output` is every line that the functions wrote, on either stream.
 */
export function loadFunctions(env: Record<string, string>) {
  vi.resetModules();
  for (const [name, value] of Object.entries({ ...LAMBDA, ...env })) vi.stubEnv(name, value);
  const output: string[] = [];
  const spies = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, "write").mockImplementation((chunk) => {
      output.push(...String(chunk).split("\n").filter(Boolean));
      return true;
    }),
  );
  const handlers = new Map<string, Promise<Handler>>();

  async function load(entry: string): Promise<Handler> {
    const { handler } = (await import(new URL(entry, TASK_ROOT).href)) as { handler: Handler };
    return handler;
  }

  async function ask({ method = "GET", target, headers = {}, body = "", ...rest }: FunctionRequest) {
    const match = matchRoute(routes, method, splitUrl(target)[0]);
    if (!match) throw new Error("no route took the request, not even $default");
    const { entry } = match.route;
    const handler = handlers.get(entry) ?? load(entry);
    handlers.set(entry, handler);
    const event = toEvent(
      {
        method,
        url: target,
        httpVersion: "1.1",
        headersDistinct: distinct({ host: "api.example", ...headers }),
        remoteAddress: rest.from ?? "192.0.2.1",
        localPort: 443,
        body: Buffer.from(body),
      },
      match,
      { accountId: "000000000000", apiId: "local", requestId: "JKJaXmPLvHcESHA=", now: new Date() },
    );
    // Through JSON, as Lambda passes both.
    const result = await (await handler)(JSON.parse(JSON.stringify(event)), contextOf(rest.timeoutMs));
    const payload = JSON.stringify(result) ?? "null";
    const answer = toHttpResult(payload);
    if (!answer) throw new Error(`API Gateway would not understand ${payload.slice(0, 500)}`);
    const text = answer.body.toString("utf8");
    return { ...answer, text, json: parseJson(text) };
  }

  return {
    output,
    ask,
    close() {
      for (const spy of spies) spy.mockRestore();
      vi.unstubAllEnvs();
    },
  };
}

export type Functions = ReturnType<typeof loadFunctions>;

/** Undefined when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const LAMBDA = {
  AWS_REGION: "us-east-1",
  AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
  AWS_LAMBDA_FUNCTION_NAME: "function",
  POWERTOOLS_TRACE_ENABLED: "false",
};

function distinct(headers: Record<string, string | string[]>): Record<string, string[]> {
  const list: Record<string, string[]> = {};
  for (const [name, value] of Object.entries(headers)) list[name.toLowerCase()] = [value].flat();
  return list;
}

function contextOf(timeoutMs = 29_000): Context {
  const endsAt = Date.now() + timeoutMs;
  return {
    awsRequestId: randomUUID(),
    functionName: "function",
    functionVersion: "$LATEST",
    invokedFunctionArn: "arn:aws:lambda:us-east-1:000000000000:function:function",
    memoryLimitInMB: "1024",
    getRemainingTimeInMillis: () => endsAt - Date.now(),
  } as Context;
}
