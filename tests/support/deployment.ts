import { createHash } from "node:crypto";
import { routes } from "@parley/functions/api/routes";
import { type Gateway, startGateway } from "@parley/local/gateway/server";
import { startModel } from "@parley/local/simulators/model";
import { startRedisBackend } from "@parley/local/upstash/backend";
import { startUpstash } from "@parley/local/upstash/server";
import { startStoreEngine } from "./store-engine.ts";
import { restClient } from "./upstash-rest.ts";

const FUNCTIONS = new URL("../../packages/functions/src/", import.meta.url);

/** The one key that deployments know: its id, and the secret that clients send. */
export const KEY = { id: "tester", secret: "pk_deployment-of-tests" };

export type Engines = Awaited<ReturnType<typeof startEngines>>;

/** What a deployment's functions talk to, each able to fail on demand. */
export async function startEngines() {
  const [storeEngine, model, backend] = await Promise.all([
    startStoreEngine(),
    startModel(),
    startRedisBackend({ engine: "embedded" }),
  ]);
  const upstash = await startUpstash({ backend, token: "test" });
  return {
    storeEngine,
    model,
    upstash,
    redis: restClient(upstash),
    async close() {
      await Promise.all([upstash.close(), model.close(), storeEngine.close()]);
      await backend.close();
    },
  };
}

/** The functions behind a gateway, as they are deployed: with keys, and one attempt at whatever fails. */
export function deploy(
  { storeEngine, model, upstash }: Engines,
  { env = {}, timeoutMs = 20_000 }: { env?: Record<string, string>; timeoutMs?: number } = {},
): Promise<Gateway> {
  return startGateway({
    routes,
    taskRoot: FUNCTIONS,
    timeoutMs,
    env: {
      API_KEYS: `${KEY.id}:${createHash("sha256").update(KEY.secret).digest("hex")}`,
      API_RATE_LIMIT_RPS: "1000",
      API_RATE_LIMIT_BURST: "1000",
      ...storeEngine.env,
      AWS_MAX_ATTEMPTS: "1",
      UPSTASH_REDIS_REST_URL: upstash.url,
      UPSTASH_REDIS_REST_TOKEN: upstash.token,
      OPENAI_BASE_URL: model.url,
      OPENAI_API_KEY: "simulated",
      RETRY_MAX_ATTEMPTS: "0",
      POWERTOOLS_TRACE_ENABLED: "false",
      ...env,
    },
  });
}
