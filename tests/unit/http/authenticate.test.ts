import { createHash } from "node:crypto";
import type { ApiKey } from "@parley/core/settings";
import type { Container } from "@parley/functions/container";
import type { ApiEvent } from "@parley/functions/http/event";
import { expect, test } from "vitest";
import { authenticate } from "../../../packages/functions/src/http/authenticate.ts";

/** Long, so that a comparison which ends early saves far more than all the rest of the work varies. */
const SECRET_LENGTH = 64 * 1024;
const ROUNDS = 400;
/** Slowest to fastest median. In constant time it is 1 give or take a few hundredths. */
const WITHIN_NOISE = 1.25;

const secret = "pk_".padEnd(SECRET_LENGTH, "0123456789abcdef");
const replaced = (at: number) => `${secret.slice(0, at)}!${secret.slice(at + 1)}`;
const presented = {
  "wrong first byte": replaced(0),
  "wrong in the middle": replaced(SECRET_LENGTH / 2),
  "wrong last byte": replaced(SECRET_LENGTH - 1),
  "nothing right": "!".repeat(SECRET_LENGTH),
  "a byte short": secret.slice(0, -1),
  "a byte long": `${secret}!`,
};

const keyOf = (text: string, id: string): ApiKey => ({
  id,
  sha256: createHash("sha256").update(text).digest(),
});

function authenticator(keys: readonly ApiKey[]) {
  const container = {
    config: { authMode: undefined, apiKeys: keys },
    limits: { failedAuthentication: async () => ({ headers: {}, retryAfterS: undefined }) },
  } as unknown as Container;
  const { before } = authenticate(() => container, { count: () => {} });
  if (!before) throw new Error("it does nothing before the handler");
  return async (key: string): Promise<boolean> => {
    const event = { headers: { "x-api-key": key }, requestContext: { http: { sourceIp: "192.0.2.1" } } };
    try {
      await before({ event: event as unknown as ApiEvent } as never);
      return true;
    } catch {
      return false;
    }
  };
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

test.each([
  ["one key", [keyOf(secret, "ada")]],
  ["first of several", [keyOf(secret, "ada"), keyOf("b", "bob"), keyOf("c", "cleo")]],
  ["last of several", [keyOf("b", "bob"), keyOf("c", "cleo"), keyOf(secret, "ada")]],
])("where a secret goes wrong does not show in the time: %s", async (_what, keys) => {
  const isLetIn = authenticator(keys);
  expect(await isLetIn(secret)).toBe(true);
  const times = new Map(Object.keys(presented).map((what) => [what, [] as number[]]));
  for (let round = 0; round < ROUNDS; round++) {
    // Interleaved and in another order each time: whatever else the machine does meets all alike.
    const entries = Object.entries(presented);
    for (let at = 0; at < entries.length; at++) {
      const [what, key] = entries[(at + round) % entries.length] ?? ["", ""];
      const from = performance.now();
      const letIn = await isLetIn(key);
      times.get(what)?.push(performance.now() - from);
      expect(letIn).toBe(false);
    }
  }
  const medians = Object.fromEntries([...times].map(([what, list]) => [what, median(list)]));
  const sorted = Object.values(medians).sort((a, b) => a - b);
  expect((sorted.at(-1) ?? 0) / (sorted[0] ?? 0), JSON.stringify(medians)).toBeLessThan(WITHIN_NOISE);
});
