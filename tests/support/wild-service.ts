import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { startEngines } from "../performance/engines.ts";
import { type Answer, faultOf } from "./answer-faults.ts";
import { apiKeysOf, type Key, loadFunctions, newSecret } from "./in-process.ts";
import { fc } from "./property.ts";
import type { Known } from "./wild-bodies.ts";
import type { WildRequest } from "./wild-requests.ts";

const HANG_MS = 1_000;
const GIVE_UP_MS = 10_000;
const ORIGIN = "https://app.example";
/** In every message that is sent. */
const MARK = "m4rk";
/** In everything that belongs to somebody else. */
const OTHERS = "0ther";
const WRONG_KEY = "pk_wrong";

export type WildService = Awaited<ReturnType<typeof startWildService>>;

/** The functions with two owners' conversations in store, limits out of the way, and a judge of their answers. */
export async function startWildService() {
  const engines = await startEngines();
  const owner = newSecret("owner");
  const other = newSecret("other");
  const { AUTH_MODE: _, ...rest } = engines.env;
  const env = {
    ...rest,
    API_KEYS: apiKeysOf(owner, other),
    CORS_ORIGINS: ORIGIN,
    API_RATE_LIMIT_RPS: "100000",
    API_RATE_LIMIT_BURST: "100000",
  };
  const functions = loadFunctions(env);
  const start = async ({ secret }: Key, message: string) => {
    const { json } = await functions.ask({
      method: "POST",
      target: "/v1/conversations",
      headers: { "x-api-key": secret, "content-type": "application/json" },
      body: JSON.stringify({ message }),
    });
    return (json as { conversation_id: string }).conversation_id;
  };
  const many = (key: Key, message: string, count: number) =>
    Promise.all(Array.from({ length: count }, (_, n) => start(key, `${message} ${n}`)));
  const ids = await many(owner, "hello", 3);
  const disposableIds = await many(owner, "bye", 60);
  const othersIds = await many(other, OTHERS, 2);
  const pageToken = async (target: string) => {
    const { json } = await functions.ask({ target, headers: { "x-api-key": owner.secret } });
    return (json as { next_page_token: string }).next_page_token;
  };
  const pageTokens = await Promise.all(
    ["/v1/conversations?page_size=1", `/v1/conversations/${ids[0]}?page_size=1`].map(pageToken),
  );
  expect(pageTokens).not.toContain("");
  const known: Known = {
    secret: owner.secret,
    wrongKey: WRONG_KEY,
    ids,
    disposableIds,
    othersIds,
    pageTokens,
    origin: ORIGIN,
    mark: MARK,
  };
  const secrets = [owner.secret, other.secret, WRONG_KEY];

  return {
    env,
    functions,
    known,
    /** What the log must not say: keys, and what users write. */
    notForTheLog: [...secrets, MARK, OTHERS],
    /** Throws when the answer is wrong, or did not come within a second. */
    judge(request: WildRequest, { ms, ...answer }: Timed): void {
      const fault =
        ms > HANG_MS
          ? `took ${Math.round(ms)} ms`
          : faultOf(request, answer, { secrets: [...secrets, OTHERS], origin: ORIGIN });
      if (fault !== undefined)
        throw new Error(`${fault}: ${answer.text.slice(0, 500)}\n${fc.stringify(request)}`);
    },
    async close(): Promise<void> {
      functions.close();
      await engines.close();
    },
  };
}

export type Timed = Answer & { ms: number };

/** Times an answer. A request that hangs does so again; one that a busy machine held up does not. */
export async function watched(ask: () => Promise<Answer>): Promise<Timed> {
  let seen = await timed(ask);
  for (let again = 0; again < 2 && seen.ms > HANG_MS; again++) seen = await timed(ask);
  return seen;
}

async function timed(ask: () => Promise<Answer>): Promise<Timed> {
  const startedAt = performance.now();
  const done = new AbortController();
  const never = sleep(GIVE_UP_MS, NOTHING, { signal: done.signal });
  const answer = await Promise.race([ask(), never]);
  done.abort();
  return { ...answer, ms: performance.now() - startedAt };
}

const NOTHING: Answer = { status: 0, headers: {}, text: "", body: Buffer.alloc(0) };
