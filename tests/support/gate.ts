import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as openRequest,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { wantsReply, wantsTitle } from "./traffic.ts";

/** A request by what it asks for and how often that was asked before, as in `redis GET weather` or `model reply #2`. */
export type RequestName = string;
export type Moment = { request: RequestName; when: "before it is forwarded" | "before it is answered" };

export type Engines = { dynamo: string; redis: string; model: string; weather: string };
type Engine = keyof Engines | "telegram";
type Asked = { engine: Engine; path: string; headers: IncomingHttpHeaders; body: string };

/**
 * Stands between a process and its engines, each at an address of its own, and counts what passes. At the chosen
 * moment it strikes instead of going on: whoever asked never gets an answer.
 */
export async function startGate<T extends Engines & { telegram?: string }>(engines: T) {
  const seen: RequestName[] = [];
  const times = new Map<string, number>();
  const forwarding = new Set<Promise<unknown>>();
  let chosen: Moment | undefined;
  let strike = () => {};

  function name(asked: Asked): RequestName {
    const what = `${asked.engine} ${describe(asked)}`;
    const count = (times.get(what) ?? 0) + 1;
    times.set(what, count);
    return count === 1 ? what : `${what} #${count}`;
  }

  const open = async (engine: Engine, target: string) => {
    const upstream = new URL(target);
    const pass = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
      const body = await buffer(incoming);
      const { method, url: path = "/", headers } = incoming;
      const request = name({ engine, path, headers, body: body.toString() });
      seen.push(request);
      const strikes = (when: Moment["when"]) => chosen?.request === request && chosen.when === when;
      if (strikes("before it is forwarded")) return strike();
      const answer = forward(upstream, { method, path, headers }, body);
      forwarding.add(answer);
      const {
        status,
        headers: answered,
        body: content,
      } = await answer.finally(() => forwarding.delete(answer));
      if (strikes("before it is answered")) return strike();
      outgoing.writeHead(status, answered).end(content);
    };
    const server = createServer((incoming, outgoing) => {
      // The engine broke the connection, so this does.
      pass(incoming, outgoing).catch(() => outgoing.destroy());
    });
    server.keepAliveTimeout = 60_000;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    // A base address may have a path.
    return { engine, server, url: target.replace(upstream.host, `127.0.0.1:${port}`) };
  };
  const targets = Object.entries(engines) as [Engine, string][];
  const opened = await Promise.all(targets.map(([engine, target]) => open(engine, target)));

  return {
    urls: Object.fromEntries(opened.map(({ engine, url }) => [engine, url])) as Record<keyof T, string>,
    /** In order of arrival, since `watch`. */
    seen,
    /** Counts anew, and resolves when the moment has come and `onMoment` was called. */
    watch(moment: Moment | undefined, onMoment: () => void): Promise<void> {
      seen.length = 0;
      times.clear();
      chosen = moment;
      return new Promise((resolve) => {
        strike = () => {
          onMoment();
          resolve();
        };
      });
    },
    /** Resolves when nothing is on its way to an engine any more. */
    quiet: () => Promise.allSettled(forwarding),
    close() {
      for (const { server } of opened) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

function forward(
  upstream: URL,
  { method, path, headers }: { method: string | undefined; path: string; headers: IncomingHttpHeaders },
  body: Buffer,
): Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = upstream;
    const request = openRequest({ hostname, port, method, path, headers }, async (answer) => {
      const { "transfer-encoding": _, ...rest } = answer.headers;
      resolve({ status: answer.statusCode ?? 502, headers: rest, body: await buffer(answer) });
    });
    request.once("error", reject).end(body);
  });
}

function describe({ engine, path, headers, body }: Asked): string {
  if (engine === "dynamo") return String(headers["x-amz-target"]).split(".").at(-1) ?? "";
  if (engine === "telegram") return path.split("/").at(-1) ?? "";
  if (engine === "weather") return path.replace(/\?.*/, "");
  if (engine === "model") return wantsReply({ body }) ? "reply" : wantsTitle({ body }) ? "title" : "summary";
  const commands = JSON.parse(body) as string[] | string[][];
  return isPipeline(commands) ? commands.map(describeCommand).join(" + ") : describeCommand(commands);
}

const isPipeline = (body: string[] | string[][]): body is string[][] => Array.isArray(body[0]);

/** The command and the kind of its key. */
function describeCommand([command = "", ...args]: string[]): string {
  const key = /^eval/i.test(command) ? args[2] : args[0];
  return `${command.toUpperCase()} ${String(key).split(":")[0]}`;
}
