import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, endpointOf } from "../support/api-calls.ts";
import { type Edge, newKey, startEdge } from "../support/edge.ts";
import { conversationOf } from "../support/stored-turns.ts";

const ada = newKey("ada");
const as = { "x-api-key": ada.secret };
const DAYS = 3;
const DAY_MS = 86_400_000;

let edge: Edge;
beforeAll(async () => {
  edge = await startEdge({ keys: [ada], together: true, env: { RETENTION_DAYS: String(DAYS) } });
});
afterAll(() => edge?.close());

const session = { platform: "cli", user_id: "user", chat_id: "chat" };

/** In milliseconds since the epoch, of what the store removes by itself. */
const endOf = ({ expires_at: at }: Record<string, unknown>): number =>
  at instanceof Date ? at.getTime() : Number(at) * 1_000;

describe("RETENTION_DAYS", () => {
  test("every row and the title of a conversation say when they are over", async () => {
    const before = Date.now();
    const message = "Hello there";
    const { status } = await ask(edge.url, endpointOf("POST /v1/messages"), { message, session }, as);
    expect(status).toBe(200);
    const rows = await edge.rows();
    // Itself, the turn, the chat.
    expect(rows).toHaveLength(2 + edge.storeEngine.rowsPerTurn);
    for (const row of rows) {
      expect(endOf(row)).toBeGreaterThanOrEqual(before + DAYS * DAY_MS);
      expect(endOf(row)).toBeLessThanOrEqual(Date.now() + DAYS * DAY_MS + 1_000);
    }
    const [title] = (await edge.redis.result("KEYS", "title:*")) as string[];
    const left = Number(await edge.redis.result("PTTL", title as string));
    expect(left).toBeGreaterThan(DAYS * DAY_MS - 60_000);
    expect(left).toBeLessThanOrEqual(DAYS * DAY_MS);
  });

  test("what is over is neither read, exported, listed nor gone on with", async () => {
    const now = Date.now();
    const old = await conversationOf(edge.store, 1, {
      owner: ada.id,
      now: now - DAYS * DAY_MS - 60_000,
    });
    const calls: [string, Parameters<typeof endpointOf>[0]][] = [
      ["read", "GET /v1/conversations/{id}"],
      ["export", "GET /v1/conversations/{id}/export"],
      ["go on", "POST /v1/conversations/{id}/messages"],
    ];
    for (const [what, name] of calls) {
      const { status, json } = await ask(
        edge.url,
        endpointOf(name),
        { conversation: old, message: "Hi" },
        as,
      );
      expect({ what, status, code: json["code"] }).toEqual({ what, status: 404, code: "not_found" });
    }
    const { json } = await ask(edge.url, endpointOf("GET /v1/conversations"), {}, as);
    expect(JSON.stringify(json)).not.toContain(old);
  });
});
