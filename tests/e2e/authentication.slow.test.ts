import type { OutgoingHttpHeaders } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, type Endpoint, endpointOf, endpoints, type Parts, titleOf } from "../support/api-calls.ts";
import { type ApiKey, type Edge, newKey, startEdge } from "../support/edge.ts";
import { type Answer, send, sendJson } from "../support/http.ts";

const ada = newKey("ada");
const rotated = newKey("ada");
const bob = newKey("bob");
const emptySecret = newKey("nobody", "");
/** Ids as odd as they may be; none is another's, and none is a word that some layer below takes for something else. */
const oddIds = [".", "..", "-", "_", "0", "Ada", "ADA", "ada.", "ada_", "anyone", "null", "undefined"];
const oddKeys = [...oddIds, "__proto__", "constructor", "x".repeat(64)].map((id) => newKey(id));
const keys = [ada, rotated, bob, emptySecret, ...oddKeys];
const CONVERSATION = "conv_00000000000000000000000000";

let edge: Edge;
beforeAll(async () => {
  edge = await startEdge({ keys, together: true });
});
afterAll(() => edge.close());

const as = ({ secret }: ApiKey) => ({ "x-api-key": secret });
const otherCase = (text: string) =>
  text.replace(/[a-z]/gi, (letter) =>
    letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
  );
/** UTF-8 as a header carries it. */
const utf8 = (text: string) => Buffer.from(text).toString("latin1");

const { secret } = ada;
const wrong: Readonly<Record<string, OutgoingHttpHeaders>> = {
  missing: {},
  "another secret": as(newKey("ada")),
  "without its last character": { "x-api-key": secret.slice(0, -1) },
  "without its first character": { "x-api-key": secret.slice(1) },
  "with a character more": { "x-api-key": `${secret}A` },
  "in other case": { "x-api-key": otherCase(secret) },
  "10 KB": { "x-api-key": "k".repeat(10 * 1024) },
  "10 KB that begin well": { "x-api-key": secret.padEnd(10 * 1024, "=") },
  unicode: { "x-api-key": utf8("ключ-🔑") },
  "unicode that looks alike": { "x-api-key": utf8(secret.replace("p", "\u0440")) },
  "the right one twice": { "x-api-key": [secret, secret] },
  "the right one, then another": { "x-api-key": [secret, "pk_other"] },
  "another, then the right one": { "x-api-key": ["pk_other", secret] },
  "the right one in a list": { "x-api-key": `${secret},${bob.secret}` },
  empty: { "x-api-key": "" },
  blank: { "x-api-key": "  " },
  "empty, and the right one as Bearer": { "x-api-key": "", authorization: `Bearer ${secret}` },
  "wrong, and the right one as Bearer": { "x-api-key": "wrong", authorization: `Bearer ${secret}` },
  "the key's id": { "x-api-key": ada.id },
  "what API_KEYS has": { "x-api-key": ada.entry },
  "the digest": { "x-api-key": ada.entry.slice(ada.id.length + 1) },
  "id and secret": { "x-api-key": `${ada.id}:${secret}` },
  "in quotes": { "x-api-key": `"${secret}"` },
  "Bearer alone": { authorization: "Bearer" },
  "an empty Bearer": { authorization: "Bearer " },
  "a wrong Bearer": { authorization: `Bearer ${secret.slice(0, -1)}` },
  "no scheme": { authorization: secret },
  "another scheme": { authorization: `Basic ${Buffer.from(`ada:${secret}`).toString("base64")}` },
  "in a cookie": { cookie: `x-api-key=${secret}; authorization=Bearer ${secret}` },
  "in another header": { "x-amzn-api-key": secret, "proxy-authorization": `Bearer ${secret}` },
};

function expectNoSecret({ headers, body }: Answer) {
  const text = `${JSON.stringify(headers)}${body}`;
  for (const key of keys.filter((one) => one.secret !== "")) {
    expect(text).not.toContain(key.secret);
    expect(text).not.toContain(key.entry);
  }
}

describe("a wrong key: 401, and always the same answer", () => {
  test.each(endpoints.map((endpoint) => ({ endpoint, title: titleOf(endpoint) })))(
    "$title",
    async ({ endpoint }) => {
      const bodies = new Set<string>();
      for (const [index, [what, headers]] of Object.entries(wrong).entries()) {
        // Five failures at once are allowed of one address.
        if (index % 5 === 0) await edge.forgiveFailures();
        const answer = await ask(edge.url, endpoint, { conversation: CONVERSATION }, headers);
        expect(answer, what).toMatchObject({
          status: 401,
          headers: {
            "content-type": "application/json",
            "cache-control": "no-store",
            "x-request-id": expect.stringMatching(/./),
          },
          json: { code: "unauthenticated", meta: {} },
        });
        expectNoSecret(answer);
        bodies.add(answer.body.toString());
      }
      expect([...bodies]).toHaveLength(1);
    },
  );

  test("in the query it is none either", async () => {
    await edge.forgiveFailures();
    for (const name of ["x-api-key", "api_key", "key", "access_token"]) {
      const answer = await send(edge.url, { path: `/v1/conversations?${name}=${secret}` });
      expect(answer.status).toBe(401);
      expectNoSecret(answer);
    }
  });

  test("leaves nothing behind", async () => {
    expect(await edge.rows()).toEqual([]);
    expect(await edge.redisStrings("*")).toEqual({});
    expect(edge.model.total()).toBe(0);
  });

  test("comes before whatever else is wrong, so that nobody learns of it", async () => {
    await edge.forgiveFailures();
    const headers = { "content-type": "text/plain", "idempotency-key": "ключ" };
    const call = {
      method: "POST",
      path: "/v1/conversations?page_size=x",
      headers: { "content-type": "text/plain" },
    };
    for (const body of ["{", "x".repeat(70_000), "[".repeat(1000)]) {
      const answer = await send(edge.url, {
        ...call,
        headers: { ...call.headers, "x-api-key": "wrong" },
        body,
      });
      expect(answer.status, headers["content-type"]).toBe(401);
    }
  });

  test("a sixth at once: 429 for whoever fails, and nothing for the right key", async () => {
    await edge.forgiveFailures();
    const statuses = [];
    for (let attempt = 0; attempt < 7; attempt++) {
      const answer = await sendJson(edge.url, {
        path: "/v1/conversations",
        headers: { "x-api-key": "wrong" },
      });
      statuses.push(answer.status);
      if (answer.status === 429) {
        expect(answer.json).toMatchObject({ code: "resource_exhausted" });
        expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
      }
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429]);
    expect((await send(edge.url, { path: "/v1/conversations", headers: as(ada) })).status).toBe(200);
    await edge.forgiveFailures();
  });
});

describe("a right key", () => {
  const right: Readonly<Record<string, OutgoingHttpHeaders>> = {
    "X-API-Key": { "X-API-Key": secret },
    Bearer: { authorization: `Bearer ${secret}` },
    "bearer in lower case": { authorization: `bearer ${secret}` },
    "X-API-Key beside another's Basic": { "x-api-key": secret, authorization: "Basic eDp5" },
    "the same in both": { "x-api-key": secret, authorization: `Bearer ${secret}` },
    "with space around": { "x-api-key": `  ${secret}  ` },
  };

  test.each(endpoints.map((endpoint) => ({ endpoint, title: titleOf(endpoint) })))(
    "is let in: $title",
    async ({ endpoint }) => {
      for (const [what, headers] of Object.entries(right)) {
        const { status } = await ask(edge.url, endpoint, { conversation: CONVERSATION }, headers);
        expect([200, 201, 400, 404], what).toContain(status);
      }
    },
  );

  const start = endpointOf("POST /v1/conversations");
  const next = endpointOf("POST /v1/conversations/{id}/messages");
  const read = endpointOf("GET /v1/conversations/{id}");
  const list = endpointOf("GET /v1/conversations");
  const call = (endpoint: Endpoint, parts: Parts, key: ApiKey) => ask(edge.url, endpoint, parts, as(key));
  const listOf = async (key: ApiKey) => {
    const { json } = await call(list, {}, key);
    return (json as { conversations: { id: string }[] }).conversations.map(({ id }) => id);
  };

  test("several of one id share conversations, chats and idempotency keys, for rotation", async () => {
    const session = { platform: "cli", user_id: "1", chat_id: "rotation" };
    const first = await call(start, { session, idempotencyKey: "rotation" }, ada);
    const id = String(first.json["conversation_id"]);
    const again = await call(start, { session, idempotencyKey: "rotation" }, rotated);
    expect(again.headers["idempotent-replayed"]).toBe("true");
    expect(again.json).toEqual(first.json);
    expect((await call(next, { conversation: id }, rotated)).status).toBe(200);
    expect((await call(read, { conversation: id }, rotated)).json).toEqual(
      (await call(read, { conversation: id }, ada)).json,
    );
    expect(await listOf(rotated)).toEqual(await listOf(ada));
  });

  test("ids with odd characters and words own what is theirs and nothing else", async () => {
    const session = { platform: "cli", user_id: "1", chat_id: "odd" };
    const owned = new Map<ApiKey, string>();
    for (const key of oddKeys) {
      const { status, headers, json } = await call(start, { session, idempotencyKey: "odd" }, key);
      expect(status, key.id).toBe(201);
      expect(headers["idempotent-replayed"]).toBeUndefined();
      owned.set(key, String(json["conversation_id"]));
    }
    expect(new Set(owned.values()).size).toBe(oddKeys.length);
    for (const [key, id] of owned) {
      expect(await listOf(key)).toEqual([id]);
      const { json } = await call(endpointOf("POST /v1/messages"), { session }, key);
      expect(json["conversation_id"]).toBe(id);
      const other = [...owned.values()].find((one) => one !== id) ?? "";
      expect((await call(read, { conversation: other }, key)).status).toBe(404);
    }
  });
});

describe("settings that let nobody in", () => {
  const digest = "0".repeat(64);
  const list = endpointOf("GET /v1/conversations");
  const browser = { origin: "https://app.example" };

  async function expectRefusal(
    url: string,
    endpoint: Endpoint,
    headers: OutgoingHttpHeaders,
    setting: string,
  ) {
    const answer = await ask(url, endpoint, { conversation: CONVERSATION }, headers);
    expect(answer, titleOf(endpoint)).toMatchObject({ status: 412, json: { code: "failed_precondition" } });
    expect(answer.json["msg"]).toContain(setting);
    expectNoSecret(answer);
  }

  test("without API_KEYS and AUTH_MODE only what asks for no key answers", async () => {
    const url = await edge.open();
    for (const endpoint of endpoints) {
      for (const headers of [as(ada), {}]) await expectRefusal(url, endpoint, headers, "API_KEYS");
    }
    for (const path of ["/health", "/ready", "/openapi.json", "/docs"]) {
      expect((await send(url, { path })).status).toBe(200);
    }
    expect((await sendJson(url, { path: "/v2" })).json).toMatchObject({ code: "bad_route" });
  });

  test.each<[string, Record<string, string>, string]>([
    ["both empty", { API_KEYS: "", AUTH_MODE: "" }, "API_KEYS"],
    ["a secret instead of its digest", { API_KEYS: `ada:${secret}` }, "API_KEYS"],
    ["an id with a space", { API_KEYS: `ada lovelace:${digest}` }, "API_KEYS"],
    ["an id with a colon", { API_KEYS: `ada:b:${digest}` }, "API_KEYS"],
    ["a good key and a bad one", { API_KEYS: `${ada.entry},bob:${bob.secret}` }, "API_KEYS"],
    ["AUTH_MODE said in other words", { AUTH_MODE: "off" }, "AUTH_MODE"],
    ["AUTH_MODE in other case", { AUTH_MODE: "NONE", API_KEYS: ada.entry }, "AUTH_MODE"],
    ["no token for Redis", { API_KEYS: ada.entry, UPSTASH_REDIS_REST_TOKEN: "" }, "UPSTASH_REDIS_REST_TOKEN"],
  ])("%s", async (_what, env, setting) => {
    const url = await edge.open(env);
    for (const headers of [as(ada), {}, browser]) await expectRefusal(url, list, headers, setting);
    expect((await sendJson(url, { path: "/v2", headers: browser })).json).toMatchObject({
      code: "bad_route",
    });
  });
});
