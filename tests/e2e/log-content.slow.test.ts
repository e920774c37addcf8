import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ask, type Endpoint, endpointOf, endpoints, type Parts } from "../support/api-calls.ts";
import { type Edge, newKey, startEdge } from "../support/edge.ts";
import { send } from "../support/http.ts";

const ada = newKey("ada");
const AWS_SECRET_ACCESS_KEY = `aws-${randomBytes(16).toString("hex")}`;
/** Part of every message, title, reply and wrong value that the requests below have. */
const PRIVATE = "quokka";
const told = `Remember that the word is ${PRIVATE}`;
const session = { platform: "cli", user_id: "1", chat_id: "desk" };
const turns = endpoints.filter(({ takes }) => takes.message);

let edge: Edge;
beforeAll(async () => {
  edge = await startEdge({
    together: true,
    keys: [ada],
    env: { AWS_SECRET_ACCESS_KEY, AWS_MAX_ATTEMPTS: "1" },
  });
});
afterAll(() => edge.close());

const as = { "x-api-key": ada.secret };
const call = (endpoint: Endpoint, parts: Parts) => ask(edge.url, endpoint, parts, as);
const post = (path: string, body: string, headers = {}) =>
  send(edge.url, {
    method: "POST",
    path,
    headers: { "content-type": "application/json", ...as, ...headers },
    body,
  });

test("neither secrets nor what people write is logged, whatever goes wrong", async () => {
  const conversation = await goodTurns();
  await wrongKeys();
  await wrongRequests(conversation);
  await failingServices(conversation);

  const output = edge.output();
  // Something was written of each, so that there was something to leak.
  const statuses = output.map((line) => /"status":(\d+)/.exec(line)?.[1]);
  expect(statuses).toEqual(expect.arrayContaining(["200", "201", "400", "401", "404", "409", "500", "503"]));
  const { OPENAI_API_KEY, UPSTASH_REDIS_REST_TOKEN } = edge.settings;
  const digest = ada.entry.slice("ada:".length);
  const own = [ada.secret, ada.secret.slice(3, -1), digest];
  for (const never of [...own, AWS_SECRET_ACCESS_KEY, OPENAI_API_KEY, UPSTASH_REDIS_REST_TOKEN, PRIVATE]) {
    expect(output.filter((line) => line.toLowerCase().includes(never.toLowerCase()))).toEqual([]);
  }
});

/** Every turn there is, then every way to read it. Returns a conversation with the private word in it. */
async function goodTurns(): Promise<string> {
  const first = await call(endpointOf("POST /v1/conversations"), { message: told, session });
  const conversation = String(first.json["conversation_id"]);
  for (const endpoint of turns) {
    expect((await call(endpoint, { conversation, message: told, session })).status).toBeLessThan(300);
  }
  const question = { conversation, message: "What did I tell you?" };
  const { json } = await call(endpointOf("POST /v1/conversations/{id}/messages"), question);
  expect(json["reply"]).toContain(PRIVATE);
  for (const endpoint of endpoints.filter(
    ({ takes, route }) => !takes.message && route.method !== "DELETE",
  )) {
    expect((await call(endpoint, { conversation })).status).toBe(200);
  }
  return conversation;
}

async function wrongKeys() {
  for (const headers of [{ "x-api-key": `${ada.secret}x` }, { authorization: `Basic ${ada.secret}` }]) {
    for (const endpoint of turns.slice(0, 2)) await ask(edge.url, endpoint, { message: told }, headers);
  }
  await send(edge.url, { path: `/v1/conversations?x-api-key=${ada.secret}` });
}

/** The private word in every place where a request can be wrong. */
async function wrongRequests(conversation: string) {
  const bodies = [
    `{"message":"${PRIVATE}`,
    `"${PRIVATE}"`,
    JSON.stringify({ message: [PRIVATE] }),
    JSON.stringify({ message: { text: PRIVATE } }),
    JSON.stringify({ message: told, session_metadata: PRIVATE }),
    JSON.stringify({ message: told, session_metadata: { platform: [PRIVATE] } }),
    JSON.stringify({ message: told, conversation_id: { id: PRIVATE } }),
    JSON.stringify({ message: told, temperature: PRIVATE, page_size: PRIVATE }),
    JSON.stringify({ message: PRIVATE.repeat(4000) }),
    JSON.stringify({ message: PRIVATE.repeat(20_000) }),
    JSON.stringify({ page_size: PRIVATE, page_token: PRIVATE, conversation_id: conversation }),
  ];
  for (const { route } of endpoints.filter(({ route }) => route.method === "POST")) {
    const path = route.path.replace("{id}", conversation);
    for (const body of bodies) {
      await post(path, body);
      await post(path, body, { "content-type": "application/protobuf" });
    }
    await post(path, JSON.stringify({ message: told }), { "idempotency-key": `${PRIVATE} ${PRIVATE}` });
    await post(path, JSON.stringify({ message: told }), { "content-type": `text/${PRIVATE}` });
  }
  for (const path of [
    `/v1/conversations/${PRIVATE}`,
    `/${PRIVATE}`,
    `/v1/conversations?page_token=${PRIVATE}`,
  ]) {
    await send(edge.url, {
      path,
      headers: { ...as, "x-request-id": `${PRIVATE} ${PRIVATE}`, "user-agent": PRIVATE },
    });
  }
  const key = { "idempotency-key": "used" };
  await post("/v1/conversations", JSON.stringify({ message: told }), key);
  expect((await post("/v1/conversations", JSON.stringify({ message: `${told}!` }), key)).status).toBe(409);
}

/** Each service fails as often as a turn asks it, at each of its requests. */
async function failingServices(conversation: string) {
  const once = (path: string) => post(path, JSON.stringify({ message: told, session_metadata: session }));
  const both = async () => [
    await once("/v1/messages"),
    await once(`/v1/conversations/${conversation}/messages`),
  ];
  for (const kind of ["error", "conflict", "drop-before", "drop-after"] as const) {
    for (let after = 0; after < 5; after++) {
      const lift = edge.storeEngine.inject({ kind, after, times: 1 });
      await both();
      lift();
    }
  }
  const faults = [{ status: 500 }, { status: 400 }, { status: 401 }, { malformed: true }, { cut: true }];
  for (const fault of faults) {
    const lift = edge.model.inject(fault);
    await both();
    lift();
  }
  for (const fault of ["refuse", "cut"] as const) {
    edge.upstash.fault = fault;
    await both();
    edge.upstash.fault = undefined;
  }
}
