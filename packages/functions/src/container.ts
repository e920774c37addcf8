import { TitleCache } from "@parley/core/assistant/title-cache";
import { systemClock as clock } from "@parley/core/clock";
import type { Config } from "@parley/core/config";
import { Conversations } from "@parley/core/conversation/conversations";
import { Retention } from "@parley/core/conversation/retention";
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

/** What the answering part has in common with the rest. */
export type Shared = { redis: FastRedis; titleCache: TitleCache; promptStore: Storage["prompts"] };

type Answerer = Awaited<ReturnType<typeof build>>;

/** The composition root: the one place that names concrete classes together. `answerer` is asked for at the first turn. */
export function compose(answerer: (config: Config, shared: Shared) => Promise<Answerer>): AnsweringContainer {
  const redis = new FastRedis({ ...config.redis, clock, telemetry });
  const { retentionDays: days, modelName: model } = config;
  const retention = new Retention({ days, clock });
  const storage = openStorage(config.store, retention);
  const titleCache = new TitleCache({ redis, model, ttlMs: retention.endOf(0), clock });
  const { store } = storage;
  const answers = once(() => answerer(config, { redis, titleCache, promptStore: storage.prompts }));
  const conversations = new Conversations({
    store,
    sessions: new Sessions({ redis, store, ttlMs: config.sessionTtlMs, clock }),
    assistant: { reply: async (question) => (await answers()).assistant.reply(question) },
    titles: { title: async (message, deadline) => (await answers()).titles.title(message, deadline) },
    summaries: { next: async (past) => (await answers()).summaries.next(past) },
    titleCache,
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
