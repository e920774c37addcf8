import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as openRequest,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { type Engine, engines, type Passing, passingOf } from "./passing.ts";

/** What happens to a request instead of its being answered, or before that. */
export type Strike =
  /** The connection breaks and nothing was done. */
  | { kind: "drop" }
  /** It was done, and the connection breaks before the answer. */
  | { kind: "lose" }
  /** It was done, and the connection breaks in the middle of the answer. */
  | { kind: "cut" }
  | { kind: "hang" }
  | { kind: "slow"; ms: number }
  /** The engine's own words, without the engine. */
  | { kind: "answer"; status: number; headers?: Record<string, string>; body: string }
  /** Something happens to whoever asks, and the request arrives so much later all the same. */
  | { kind: "late"; ms: number; act: () => void }
  /** Something happens to whoever asks, before the request is forwarded or before it is answered: whether it goes on then. */
  | { kind: "act"; when: "forwarded" | "answered"; act: () => boolean };

export type Rule = (passing: Passing) => Strike | undefined;
export type Answered = { status: number; headers: IncomingHttpHeaders; body: Buffer };
export type Watcher = {
  asked(passing: Passing): void;
  done(passing: Passing, answer: Answered): void;
  /** The engine itself broke the connection. */
  broken(passing: Passing): void;
};

export type Wire = Awaited<ReturnType<typeof startWire>>;

/**
 * Stands between every instance and every engine, an address for each pair of them: sees what passes, and strikes where a
 * rule says so.
 */
export async function startWire(
  targets: Readonly<Record<Engine, string>>,
  instances: number,
  watcher: Watcher,
) {
  const rules = new Set<Rule>();
  const passing = new Set<Promise<unknown>>();
  let struck = 0;

  async function pass(engine: Engine, instance: number, incoming: IncomingMessage, outgoing: ServerResponse) {
    const body = await buffer(incoming);
    const { method = "GET", url: path = "/", headers } = incoming;
    const passing = passingOf(engine, instance, { path, headers, body: body.toString() });
    watcher.asked(passing);
    const strike = strikeOf(passing);
    if (strike?.kind === "drop") return void outgoing.destroy();
    if (strike?.kind === "hang") return;
    if (strike?.kind === "answer")
      return void outgoing.writeHead(strike.status, strike.headers ?? JSON_TYPE).end(strike.body);
    if (strike?.kind === "late") strike.act();
    if (strike?.kind === "slow" || strike?.kind === "late") await sleep(strike.ms);
    if (strike?.kind === "act" && strike.when === "forwarded" && !strike.act()) return;
    const answer = await forward(new URL(targets[engine]), { method, path, headers }, body).catch((error) => {
      watcher.broken(passing);
      throw error;
    });
    watcher.done(passing, answer);
    if (strike?.kind === "act" && strike.when === "answered" && !strike.act()) return;
    if (strike?.kind === "lose") return void outgoing.destroy();
    outgoing.writeHead(answer.status, answer.headers);
    if (strike?.kind !== "cut") return void outgoing.end(answer.body);
    outgoing.write(answer.body.subarray(0, Math.ceil(answer.body.length / 2)), () => outgoing.destroy());
  }

  function strikeOf(passing: Passing): Strike | undefined {
    for (const rule of rules) {
      const strike = rule(passing);
      if (!strike) continue;
      struck += 1;
      return strike;
    }
    return undefined;
  }

  const doors = await Promise.all(
    engines.flatMap((engine) =>
      Array.from({ length: instances }, async (_, instance) => {
        const server = createServer((incoming, outgoing) => {
          // The engine broke the connection, or the instance has gone.
          const passed = pass(engine, instance, incoming, outgoing).catch(() => outgoing.destroy());
          passing.add(passed);
          void passed.finally(() => passing.delete(passed));
        });
        server.keepAliveTimeout = 60_000;
        const port = await listen(server, 0);
        return { engine, instance, server, port };
      }),
    ),
  );

  return {
    /** Where an instance finds an engine; the engine's own path, if it has one, kept. */
    url(engine: Engine, instance: number): string {
      const door = doors.find((each) => each.engine === engine && each.instance === instance);
      const url = new URL(targets[engine]);
      return targets[engine].replace(url.host, `127.0.0.1:${door?.port}`);
    },
    /** Returns what lifts it. */
    rule(rule: Rule): () => void {
      rules.add(rule);
      return () => void rules.delete(rule);
    },
    /** The rules there are now, and how many requests any has struck so far. */
    rules: () => ({ count: rules.size, struck }),
    /** Nothing is on its way any more. */
    quiet: async () => void (await Promise.all(passing)),
    /** Nobody listens at the engine's addresses any more. Returns what opens them again. */
    async refuse(engine: Engine): Promise<() => Promise<void>> {
      const own = doors.filter((door) => door.engine === engine);
      for (const { server } of own) shut(server);
      return async () => void (await Promise.all(own.map(({ server, port }) => listen(server, port))));
    },
    close() {
      for (const { server } of doors) shut(server);
    },
  };
}

const JSON_TYPE = { "content-type": "application/json" };

function shut(server: Server) {
  server.close();
  server.closeAllConnections();
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function forward(
  { hostname, port }: URL,
  head: { method: string; path: string; headers: IncomingHttpHeaders },
  body: Buffer,
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const request = openRequest({ hostname, port, ...head }, (answer) => {
      const { "transfer-encoding": _, ...headers } = answer.headers;
      buffer(answer).then(
        (content) => resolve({ status: answer.statusCode ?? 502, headers, body: content }),
        reject,
      );
    });
    request.once("error", reject).end(body);
  });
}
