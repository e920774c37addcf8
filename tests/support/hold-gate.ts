import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

/** A request that waits at the gate. */
export type Hold = {
  /** Resolves when it has come. */
  reached: Promise<void>;
  /** Resolves when whoever asked has hung up without waiting for the answer. */
  abandoned: Promise<void>;
  release(): void;
};

/** What stands in front of an HTTP service and can hold requests back, for as long as a test wants. */
export async function startGate(target: string) {
  const holds = new Set<{ text: string; pass: (abandoned: Promise<void>) => Promise<void> }>();

  const server = createServer(async (request, response) => {
    try {
      const body = await buffer(request);
      const hold = [...holds].find(({ text }) => body.includes(text));
      await hold?.pass(abandonmentOf(response));
      if (response.destroyed) return;
      const answer = await fetch(`${target}${request.url}`, {
        method: request.method ?? "GET",
        headers: { "content-type": "application/json", authorization: request.headers.authorization ?? "" },
        ...(body.length > 0 && { body }),
      });
      const type = answer.headers.get("content-type") ?? "application/json";
      const text = await answer.text();
      response.writeHead(answer.status, { "content-type": type }).end(text);
    } catch {
      // The service broke the connection, so this does.
      response.destroy();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Holds the next request whose body contains `text`; those after it go through. */
    hold(text: string): Hold {
      const reached = Promise.withResolvers<void>();
      const abandoned = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      const hold = {
        text,
        pass(abandonment: Promise<void>) {
          holds.delete(hold);
          reached.resolve();
          void abandonment.then(abandoned.resolve);
          return Promise.race([released.promise, abandonment]);
        },
      };
      holds.add(hold);
      return { reached: reached.promise, abandoned: abandoned.promise, release: released.resolve };
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** Resolves when the connection is gone before the answer is. */
const abandonmentOf = (response: ServerResponse) =>
  new Promise<void>((resolve) => {
    response.once("close", () => {
      if (!response.writableFinished) resolve();
    });
  });
