import { systemClock as clock } from "@parley/core/clock";
import type { Config } from "@parley/core/config";
import { Conversations } from "@parley/core/conversation/conversations";
import { FastRedis } from "@parley/core/redis/client";
import { Sessions } from "@parley/core/session/sessions";
import type { build } from "./assistant.ts";
import { config } from "./config.ts";
import { Limits } from "./http/limits.ts";
import { telemetry } from "./observability.ts";
import { once } from "./once.ts";
import { openStorage, type Storage } from "./storage.ts";

/** Turns shorter than this on average are rare: so many are loaded that the window is full without them. */
const TOKENS_PER_TURN = 100;

export type Container = {
  config: Config;
  conversations: Pick<Conversations, "list" | "describe" | "export" | "delete">;
  limits: Limits;
  /** For `/ready`, and for what has state of its own beside the conversations. */
  dependencies: Storage & { redis: FastRedis };
};
export type AnsweringContainer = Container & { conversations: Conversations };

type Answerer = Awaited<ReturnType<typeof build>>;

/** The composition root: the one place that names concrete classes together. `answerer` is asked for at the first turn. */
export function compose(
  answerer: (config: Config, redis: FastRedis) => Promise<Answerer>,
): AnsweringContainer {
  const redis = new FastRedis({ ...config.redis, clock, telemetry });
  const storage = openStorage(config.store);
  const { store } = storage;
  const answers = once(() => answerer(config, redis));
  const conversations = new Conversations({
    store,
    sessions: new Sessions({ redis, store, ttlMs: config.sessionTtlMs, clock }),
    assistant: { reply: async (question) => (await answers()).assistant.reply(question) },
    titles: { title: async (message, deadline) => (await answers()).titles.title(message, deadline) },
    summaries: { next: async (past) => (await answers()).summaries.next(past) },
    historyTurns: Math.ceil(config.maxContextTokens / TOKENS_PER_TURN),
    clock,
    telemetry,
  });
  const limits = new Limits({ redis, settings: config.rateLimit, telemetry });
  return { config, conversations, limits, dependencies: { ...storage, redis } };
}

/** Of functions that only read: deployed without the model's code. Built once an instance, at first use. */
export const container = once(
  (): Container => compose(() => Promise.reject(new Error("this function does not answer"))),
);
