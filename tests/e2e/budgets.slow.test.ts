import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ask, type Endpoint, endpointOf, endpoints, type Parts, titleOf } from "../support/api-calls.ts";
import { budgetIn } from "../support/budgets.ts";
import { type ApiKey, type Edge, newKey, startEdge } from "../support/edge.ts";
import { runNode } from "../support/process.ts";
import { type Speaker, startTelegramRig, type TelegramRig } from "../support/telegram-rig.ts";

const CLI = fileURLToPath(new URL("../../packages/cli/src/main.ts", import.meta.url));
const MODEL = "gpt-5.4-mini";
const RESETS_AT = /^\d{4}-\d\d-\d\dT00:00:00\.000Z$/;

describe("the API", () => {
  const [ada, bob] = [newKey("ada"), newKey("bob")];
  let edge: Edge;
  /** Two deployments on the same engines: one for which a single answer is a day's budget, one without any. */
  let thrifty: string;
  beforeAll(async () => {
    edge = await startEdge({ keys: [ada, bob], together: true });
    thrifty = await edge.open({
      API_KEYS: [ada, bob].map(({ entry }) => entry).join(","),
      BUDGET_USER_TOKENS_PER_DAY: "1",
    });
  });
  afterAll(() => edge.close());
  afterEach(() => edge.model.reset());

  let count = 0;
  const unused = (what: string) => `${what}-${++count}`;
  const sessionOf = (user: string) => ({ platform: "api", user_id: user, chat_id: unused("chat") });
  const call = (
    endpoint: Endpoint,
    parts: Parts,
    { url = thrifty, key = ada }: { url?: string; key?: ApiKey } = {},
  ) => ask(url, endpoint, parts, { "x-api-key": key.secret });
  const keyOf = (user: string, key = ada) => `budget:{${key.id}}:user:api:${user}`;

  const start = endpointOf("POST /v1/conversations");
  const next = endpointOf("POST /v1/conversations/{id}/messages");
  const turns = endpoints.filter(({ takes }) => takes.message);

  test.each(turns.map((endpoint) => [titleOf(endpoint), endpoint] as const))(
    "%s: an answer tells its usage; the one that is over the budget gets resource_exhausted and when it ends",
    async (_title, endpoint) => {
      const session = sessionOf(unused("user"));
      const begun = await call(start, { session }, { url: edge.url });
      const parts = { session, conversation: String(begun.json["conversation_id"]) };
      const { json } = await call(endpoint, parts);
      expect(json["usage"]).toMatchObject({
        model: MODEL,
        input_tokens: expect.any(Number),
        cached_tokens: expect.any(Number),
        output_tokens: expect.any(Number),
      });
      const asked = edge.model.total();
      const refused = await call(endpoint, parts);
      expect(refused).toMatchObject({
        status: 429,
        json: {
          code: "resource_exhausted",
          msg: expect.stringMatching(/^The daily budget of this user is used up\. It starts again at /),
          meta: { budget: "user", resets_at: expect.stringMatching(RESETS_AT) },
        },
      });
      const resetsAt = Date.parse((refused.json["meta"] as Record<string, string>)["resets_at"] ?? "");
      const left = Number(refused.headers["retry-after"]);
      expect(Math.abs(left - (resetsAt - Date.now()) / 1_000)).toBeLessThan(60);
      expect(edge.model.total()).toBe(asked);
    },
  );

  test("counts the title with the answer, to the token, by user and by key", async () => {
    const user = unused("user");
    const url = await edge.open({
      API_KEYS: bob.entry,
      BUDGET_USER_USD_PER_DAY: "1",
      BUDGET_KEY_TOKENS_PER_DAY: "1000000",
    });
    const usage = {
      prompt_tokens: 1_000,
      completion_tokens: 10,
      prompt_tokens_details: { cached_tokens: 200 },
    };
    const body = { choices: [{ message: { role: "assistant", content: "Fine." } }], usage };
    edge.model.script([{ body }], { for: "all", repeat: true });
    const before = edge.model.total();
    const { json } = await call(
      start,
      { session: sessionOf(user), message: unused("Hi") },
      { url, key: bob },
    );
    expect(json["usage"]).toEqual({
      model: MODEL,
      input_tokens: 1_000,
      cached_tokens: 200,
      output_tokens: 10,
    });
    expect(edge.model.total() - before).toBe(2);
    const nanoUsd = 2 * (800 * 750 + 200 * 75 + 10 * 4_500);
    for (const key of [keyOf(user, bob), `budget:{${bob.id}}:key`]) {
      expect((await budgetIn(edge.redis, key)).spent).toEqual({ tokens: 2 * 1_010, nanoUsd });
    }
  });

  test("keeps the message: the same request is answered when the budget is there again", async () => {
    const user = unused("user");
    const session = sessionOf(user);
    const first = await call(start, { session, idempotencyKey: unused("key") });
    const conversation = String(first.json["conversation_id"]);
    const parts = { conversation, message: "And now?", idempotencyKey: unused("key") };
    expect(await call(next, parts)).toMatchObject({ status: 429 });
    const described = await call(endpointOf("GET /v1/conversations/{id}"), { conversation });
    const { messages } = described.json["conversation"] as { messages: { content: string }[] };
    expect(messages.at(-1)?.content).toBe("And now?");
    await edge.redis.result("DEL", keyOf(user));
    const answered = await call(next, parts);
    expect(answered.status).toBe(200);
    // An answer that was given is given again, whatever the budget says.
    expect(await call(next, parts)).toMatchObject({
      status: 200,
      json: answered.json,
      headers: { "idempotent-replayed": "true" },
    });
  });

  test("charges whom a conversation began with, where a request names nobody", async () => {
    const user = unused("user");
    const first = await call(start, { session: sessionOf(user) });
    const conversation = String(first.json["conversation_id"]);
    expect(await call(next, { conversation })).toMatchObject({
      status: 429,
      json: { meta: { budget: "user" } },
    });
    // And nobody where nobody is known.
    const anonymous = await call(start, {});
    expect(await call(next, { conversation: String(anonymous.json["conversation_id"]) })).toMatchObject({
      status: 200,
    });
  });

  test("does not call it a failure", async () => {
    const session = sessionOf(unused("user"));
    await call(start, { session });
    await call(start, { session });
    await expect
      .poll(() => edge.output().filter((line) => line.includes('"outcome":"refused"')), { timeout: 5_000 })
      .not.toEqual([]);
    const failures = edge.output().flatMap((line) => {
      const values: unknown = line.includes('"_aws"') ? JSON.parse(line)["TurnFailures"] : undefined;
      return values === undefined ? [] : [values].flat();
    });
    expect(new Set(failures)).toEqual(new Set([0]));
  });

  test("by the CLI says when to come back", async () => {
    const keyed = await edge.open({ API_KEYS: bob.entry, BUDGET_KEY_TOKENS_PER_DAY: "1" });
    const env = { API_URL: keyed, API_KEY: bob.secret };
    await runNode([CLI, "ask", "Hello"], { env });
    const { code, stderr } = await runNode([CLI, "ask", "Hello"], { env });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /The daily budget of this API key is used up\. It starts again at \S+T00:00:00\.000Z\. \(try again in \d+ (h|min|s)\)/,
    );
  });
});

describe("Telegram", () => {
  let rig: TelegramRig;
  let ann: Speaker;
  const begin = async (env: Record<string, string>) => {
    rig = await startTelegramRig({ env });
    ann = await rig.person({ first_name: "Ann" });
  };
  afterEach(() => rig.close());

  test("tells a user when to come back, once and for good, and answers everybody else", async () => {
    await begin({ BUDGET_USER_TOKENS_PER_DAY: "1" });
    await ann.ask("Hello");
    expect((await ann.ask("Are you there?")).text).toMatch(
      /^You have used up your budget for today\. I can answer you again at 00:00 UTC, in about \d+ (h|min): please send your message again then\.$/,
    );
    const ben = await rig.person({ first_name: "Ben" });
    expect((await ben.ask("Hello")).text).not.toContain("budget");
    await rig.idle();
    expect(rig.deadLetters()).toEqual([]);
    expect(await ann.heard()).toHaveLength(2);
  });

  test("tells everybody when the bot's is used up", async () => {
    await begin({ BUDGET_KEY_TOKENS_PER_DAY: "1" });
    await ann.ask("Hello");
    const ben = await rig.person({ first_name: "Ben" });
    expect((await ben.ask("Hello")).text).toMatch(/^I have used up my budget for today\. /);
    // What needs no model is answered.
    expect((await ben.ask("/help")).text).not.toContain("budget");
  });
});
