import { createHash, randomBytes } from "node:crypto";
import { routes } from "@parley/functions/api/routes";
import { type Gateway, type GatewayLog, startGateway } from "@parley/local/gateway/server";
import { startModel } from "@parley/local/simulators/model";
import { startRedisBackend } from "@parley/local/upstash/backend";
import { startUpstash } from "@parley/local/upstash/server";
import { startGate } from "./hold-gate.ts";
import { startStoreEngine } from "./store-engine.ts";
import { restClient } from "./upstash-rest.ts";

const FUNCTIONS = new URL("../../packages/functions/src/", import.meta.url);

export type ApiKey = { id: string; secret: string /** As API_KEYS lists it. */; entry: string };

/** A key of `id` as the script makes them. */
export function newKey(id: string, secret = `pk_${randomBytes(32).toString("base64url")}`): ApiKey {
  return { id, secret, entry: `${id}:${createHash("sha256").update(secret).digest("hex")}` };
}

export type Edge = Awaited<ReturnType<typeof startEdge>>;

/** All routes by one function: one cold start instead of nine. */
const togetherRoutes = routes.map((route) => ({
  ...route,
  name: "together",
  entry: new URL("functions/together.ts", import.meta.url).href,
}));

/**
 * The API's own functions in worker instances behind the local gateway, with authentication, on real engines that tests
 * can look into: a store, Redis behind the Upstash protocol and the simulated model, all over sockets.
 */
export async function startEdge({
  keys,
  env,
  together = false,
}: {
  keys?: readonly ApiKey[];
  env?: Record<string, string>;
  together?: boolean;
} = {}) {
  const [storeEngine, backend, model] = await Promise.all([
    startStoreEngine(),
    startRedisBackend({ engine: "embedded" }),
    startModel(),
  ]);
  const gate = await startGate(model.origin);
  const upstash = await startUpstash({ backend, token: `token-${randomBytes(16).toString("hex")}` });
  const redis = restClient(upstash);
  const gateways: Gateway[] = [];
  const log: GatewayLog[] = [];

  const settings = {
    OPENAI_API_KEY: `sk-${randomBytes(16).toString("hex")}`,
    OPENAI_BASE_URL: model.url.replace(model.origin, gate.origin),
    UPSTASH_REDIS_REST_URL: upstash.url,
    UPSTASH_REDIS_REST_TOKEN: upstash.token,
    ...storeEngine.env,
    POWERTOOLS_SERVICE_NAME: "parley",
    POWERTOOLS_TRACE_ENABLED: "false",
    // Limits have tests of their own.
    API_RATE_LIMIT_RPS: "10000",
    API_RATE_LIMIT_BURST: "10000",
    RETRY_MAX_ATTEMPTS: "0",
  };

  /** Another deployment of the functions on the same engines. Returns its address. */
  async function open(own: Record<string, string> = {}): Promise<string> {
    const gateway = await startGateway({
      routes: together ? togetherRoutes : routes,
      taskRoot: FUNCTIONS,
      env: { ...settings, ...own },
      log: (entry) => log.push(entry),
    });
    gateways.push(gateway);
    return gateway.url;
  }

  const url = await open({ ...(keys && { API_KEYS: keys.map(({ entry }) => entry).join(",") }), ...env });
  return {
    url,
    open,
    storeEngine,
    upstash,
    model,
    redis,
    /** Holds the next request to the model that contains a text. */
    hold: gate.hold,
    settings,
    store: storeEngine.connect(),

    rows: storeEngine.rows,

    /** The keys of Redis that fit a pattern and hold a string, with it. */
    async redisStrings(pattern: string): Promise<Record<string, string>> {
      const keys = (await redis.result("KEYS", pattern)) as string[];
      if (keys.length === 0) return {};
      // What is no string counts as missing.
      const values = (await redis.result("MGET", ...keys)) as (string | null)[];
      return Object.fromEntries(keys.flatMap((key, at) => (values[at] == null ? [] : [[key, values[at]]])));
    },

    /** Failed authentications are allowed few of one address: begins the count anew. */
    async forgiveFailures(): Promise<void> {
      const keys = (await redis.result("KEYS", "ratelimit:failed-authentication:*")) as string[];
      if (keys.length > 0) await redis.result("DEL", ...keys);
    },

    /** The lines that the functions wrote. */
    output: () => log.flatMap((entry) => (entry.type === "output" ? [entry.line] : [])),

    async close(): Promise<void> {
      await Promise.all(gateways.map((gateway) => gateway.close()));
      await gate.close();
      await Promise.all([upstash.close(), storeEngine.close(), model.close()]);
      await backend.close();
    },
  };
}
