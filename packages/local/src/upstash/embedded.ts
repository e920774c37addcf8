import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { createRedisServer } from "js-redis-server";
import type { RedisBackend } from "./backend.ts";

interface Engine {
  port: number;
  close(): Promise<void>;
}

/** A Redis in this process, for machines that have none; `reason` says why it was chosen. */
export async function startEmbedded(reason: string): Promise<RedisBackend> {
  let engine = await launch(0);
  const { port } = engine;
  return {
    kind: "embedded",
    description: `embedded engine (js-redis-server), on port ${port}${reason === "" ? "" : ` (${reason})`}`,
    redisUrl: `redis://127.0.0.1:${port}`,
    restart: async () => {
      await engine.close();
      await delay(10); // clients in this very process learn that they are cut off before anything answers again
      engine = await launch(port);
    },
    close: () => engine.close(),
  };
}

async function launch(port: number): Promise<Engine> {
  // `port` goes to net.Server.listen as it is: the only way to keep the engine off the other interfaces.
  const address = { host: "127.0.0.1", port } as unknown as number;
  const handle = await createRedisServer({ port: address });
  const sockets = new Set<Socket>();
  handle.server.server.prependListener("connection", (socket) => {
    socket.setNoDelay(true); // the engine writes each reply apart: with Nagle's algorithm a pipeline takes 40 ms
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return {
    port: handle.port,
    close: async () => {
      if (!handle.server.server.listening) return;
      const closed = handle.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
