import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, type Endpoint, endpointOf, endpoints, type Parts, titleOf } from "../support/api-calls.ts";
import { type Edge, newKey, startEdge } from "../support/edge.ts";

const ada = newKey("ada");
const as = { "x-api-key": ada.secret };

let edge: Edge;
beforeAll(async () => {
  edge = await startEdge({ keys: [ada], together: true });
});
afterAll(() => edge.close());

let count = 0;
const unused = (what: string) => `${what}-${++count}`;
const newSession = () => ({ platform: "cli", user_id: "1", chat_id: unused("chat") });
const call = (endpoint: Endpoint, parts: Parts) => ask(edge.url, endpoint, parts, as);

const start = endpointOf("POST /v1/conversations");
const next = endpointOf("POST /v1/conversations/{id}/messages");
const converse = endpointOf("POST /v1/messages");
const whole = endpointOf("GET /v1/conversations/{id}/export");
const turns = endpoints
  .filter(({ takes }) => takes.message)
  .map((one) => ({ endpoint: one, title: titleOf(one) }));

async function newConversation(): Promise<string> {
  return String((await call(start, { message: "Hello" })).json["conversation_id"]);
}

async function contentsOf(conversation: string): Promise<string[]> {
  const { json } = await call(whole, { conversation });
  return (json as { messages: { content: string }[] }).messages.map(({ content }) => content);
}

/** The parts that a route of turns needs, for a message under a key. */
async function partsFor({ takes, route }: Endpoint): Promise<Parts> {
  const where =
    takes.conversation && route.path !== "/v1/messages"
      ? { conversation: await newConversation() }
      : { session: newSession() };
  return { message: unused("Message"), idempotencyKey: unused("key"), ...where };
}

describe.each(turns)("$title", ({ endpoint }) => {
  test("same key and body: the same answer, once", async () => {
    const parts = await partsFor(endpoint);
    const first = await call(endpoint, parts);
    expect(first.status).toBeLessThan(300);
    expect(first.headers["idempotent-replayed"]).toBeUndefined();
    const asked = edge.model.total();
    for (let again = 0; again < 3; again++) {
      const repeated = await call(endpoint, parts);
      expect(repeated).toMatchObject({ status: first.status, json: first.json });
      expect(repeated.headers).toMatchObject({ "idempotent-replayed": "true" });
      expect(repeated.headers["location"]).toBe(first.headers["location"]);
    }
    expect(edge.model.total()).toBe(asked);
    const contents = await contentsOf(String(first.json["conversation_id"]));
    expect(contents.filter((content) => content === parts.message)).toHaveLength(1);
  });

  test("same key, other body: already_exists, and nothing of it is kept", async () => {
    const parts = await partsFor(endpoint);
    const { json } = await call(endpoint, parts);
    const before = await edge.rows();
    const other = await call(endpoint, { ...parts, message: "Another message" });
    expect(other).toMatchObject({
      status: 409,
      json: { code: "already_exists", meta: { header: "idempotency-key" } },
    });
    expect(other.headers["retry-after"]).toBeUndefined();
    expect(await edge.rows()).toEqual(before);
    expect(await call(endpoint, parts)).toMatchObject({ json, headers: { "idempotent-replayed": "true" } });
  });

  test("in progress: aborted with retry-after, then the answer", async () => {
    const parts = await partsFor(endpoint);
    const hold = edge.hold(parts.message ?? "");
    const first = call(endpoint, parts);
    await hold.reached;
    const meanwhile = await call(endpoint, parts);
    expect(meanwhile).toMatchObject({ status: 409, json: { code: "aborted" } });
    expect(Number(meanwhile.headers["retry-after"])).toBeGreaterThanOrEqual(1);
    expect(Number(meanwhile.headers["retry-after"])).toBeLessThanOrEqual(5);
    const other = await call(endpoint, { ...parts, message: "Another message" });
    expect(other).toMatchObject({ status: 409, json: { code: "already_exists" } });
    hold.release();
    const { json } = await first;
    expect(await call(endpoint, parts)).toMatchObject({ json, headers: { "idempotent-replayed": "true" } });
  });

  test("after a failure the same key completes the turn that is there", async () => {
    const parts = await partsFor(endpoint);
    const lift = edge.model.inject({ status: 500, bodyIncludes: parts.message ?? "" });
    expect(await call(endpoint, parts)).toMatchObject({ status: 503, json: { code: "unavailable" } });
    lift();
    const { status, headers, json } = await call(endpoint, parts);
    expect(status).toBeLessThan(300);
    expect(headers["idempotent-replayed"]).toBeUndefined();
    const contents = await contentsOf(String(json["conversation_id"]));
    expect(contents.slice(-2)).toEqual([parts.message, json["reply"]]);
    expect(contents.filter((content) => content === parts.message)).toHaveLength(1);
  });

  test.each([
    ["empty", ""],
    ["with a space", "a b"],
    ["not ASCII", Buffer.from("ключ").toString("latin1")],
    ["of 256 characters", "k".repeat(256)],
  ])("a key %s: invalid_argument", async (_what, idempotencyKey) => {
    const before = await edge.rows();
    const answer = await call(endpoint, { ...(await partsFor(endpoint)), idempotencyKey });
    expect(answer).toMatchObject({
      status: 400,
      json: { code: "invalid_argument", meta: { argument: "idempotency-key" } },
    });
    const added = (await edge.rows()).length - before.length;
    // What a turn needs to go to, and no turn of its own.
    const needsOne = endpoint.takes.conversation && endpoint.route.path !== "/v1/messages";
    expect(added).toBe(needsOne ? 1 + edge.storeEngine.rowsPerTurn : 0);
  });
});

test("many at once are one turn", async () => {
  const parts = { message: unused("Message"), idempotencyKey: unused("key") };
  const answers = await Promise.all(Array.from({ length: 12 }, () => call(start, parts)));
  const made = answers.filter(({ status, headers }) => status === 201 && !headers["idempotent-replayed"]);
  expect(made).toHaveLength(1);
  for (const answer of answers) {
    if (answer.status === 201) expect(answer.json).toEqual(made[0]?.json);
    else expect(answer).toMatchObject({ status: 409, json: { code: "aborted" } });
  }
  expect(await contentsOf(String(made[0]?.json["conversation_id"]))).toHaveLength(2);
});

test("a key is one turn's, whatever route and encoding it comes by", async () => {
  const parts = { message: "Hello", session: newSession(), idempotencyKey: unused("key") };
  const first = await call(start, parts);
  const starts = turns.filter(({ endpoint }) => endpoint.route.name === "start-conversation");
  expect(starts).toHaveLength(3);
  for (const { endpoint } of starts) {
    const again = await call(endpoint, parts);
    expect(again).toMatchObject({ json: first.json, headers: { "idempotent-replayed": "true" } });
  }
  const conversation = String(first.json["conversation_id"]);
  for (const elsewhere of [
    call(converse, parts),
    call(next, { ...parts, conversation }),
    call(start, { ...parts, session: newSession() }),
  ]) {
    expect(await elsewhere).toMatchObject({ status: 409, json: { code: "already_exists" } });
  }
});

test("created: 201, and Location leads to it", async () => {
  const { status, headers, json } = await call(start, { message: "Hello" });
  expect(status).toBe(201);
  expect(headers["location"]).toBe(`/v1/conversations/${json["conversation_id"]}`);
  const found = await fetch(new URL(headers["location"] ?? "", edge.url), { headers: as });
  expect(await found.json()).toMatchObject({
    conversation: {
      id: json["conversation_id"],
      messages: [{ content: "Hello" }, { content: json["reply"] }],
    },
  });
  // Only REST creates by status; a turn of what is there is a 200.
  expect((await call(next, { conversation: String(json["conversation_id"]) })).status).toBe(200);
  expect((await call(endpointOf("POST /twirp/acai.chat.ChatService/StartConversation"), {})).status).toBe(
    200,
  );
});
