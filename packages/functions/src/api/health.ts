import { environment } from "../environment.ts";
import { chain } from "../http/chain.ts";
import { probe } from "../http/probe.ts";

/** `GET /health`: this function answers; asks nobody. `GET /ready`: whether the services behind it do. */
export const handler = chain().handler(async (event) => {
  if (event.rawPath !== "/ready") {
    const { PARLEY_VERSION: version = "dev", AWS_REGION: region = "" } = environment;
    return json(200, { status: "ok", version, region });
  }
  // Only here, for `/health` starts without what it does not ask.
  const { container } = await import("../container.ts");
  const { store, redis } = container().dependencies;
  const [storeState, redisState] = await Promise.all([
    probe((signal) => store.ping(signal)),
    probe(() => redis.ping()),
  ]);
  // Redis is a fast path: without it everything still works.
  const status = !storeState.ok ? "unavailable" : redisState.ok ? "ok" : "degraded";
  return json(status === "unavailable" ? 503 : 200, { status, store: storeState, redis: redisState });
});

const json = (statusCode: number, body: unknown) => ({
  statusCode,
  headers: { "content-type": "application/json", ...(statusCode === 503 && { "retry-after": "5" }) },
  body: JSON.stringify(body),
});
