import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { type RedisBackend, startRedisBackend } from "../../packages/local/src/upstash/backend.ts";
import { startUpstash, type UpstashGateway } from "../../packages/local/src/upstash/server.ts";
import type { RedisEngine } from "./redis-engines.ts";
import { type RestClient, restClient } from "./upstash-rest.ts";

export interface UpstashSuite {
  backend: RedisBackend;
  gateway: UpstashGateway;
  rest: RestClient;
  /** A key that no other test uses. */
  key: string;
}

/** A gateway for the tests of the enclosing `describe`; its fields are there once a test runs. */
export function upstashSuite(engine: RedisEngine): UpstashSuite {
  const suite = {} as UpstashSuite;
  beforeAll(async () => {
    suite.backend = await startRedisBackend({ engine });
    suite.gateway = await startUpstash({ backend: suite.backend, token: `token-${randomUUID()}` });
    suite.rest = restClient(suite.gateway);
  });
  afterAll(async () => {
    await suite.gateway.close();
    await suite.backend.close();
  });
  beforeEach(() => {
    suite.key = `test:${randomUUID()}`;
  });
  return suite;
}

export const unavailable = (name: string) =>
  `ERR Command is not available: '${name}'. See https://upstash.com/docs/redis/overall/rediscompatibility for details`;

export const restricted = (name: string) =>
  `ERR Command "${name}" is not allowed in REST or it has a special context path`;
