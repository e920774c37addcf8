import { routes } from "@parley/functions/api/routes";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ask,
  type Endpoint,
  type EndpointAnswer,
  endpointOf,
  endpoints,
  nameOf,
  operations,
  type Parts,
  titleOf,
} from "../support/api-calls.ts";
import { type ApiKey, type Edge, newKey, startEdge } from "../support/edge.ts";
import { send } from "../support/http.ts";

const [ada, bob] = [newKey("ada"), newKey("bob")];
const NOBODYS = "conv_00000000000000000000000000";
const SECRET_WORD = "quokka";
const TOLD = `Remember that the word is ${SECRET_WORD}`;
const ASKED = "What did I tell you?";

let edge: Edge;
beforeAll(async () => {
  edge = await startEdge({ keys: [ada, bob] });
});
afterAll(() => edge.close());

let count = 0;
const unused = (what: string) => `${what}-${++count}`;
const newSession = () => ({ platform: "telegram", user_id: "12345", chat_id: unused("chat") });
const as = ({ secret }: ApiKey) => ({ "x-api-key": secret });
const call = (endpoint: Endpoint, parts: Parts, key: ApiKey) => ask(edge.url, endpoint, parts, as(key));

const start = endpointOf("POST /v1/conversations");
const next = endpointOf("POST /v1/conversations/{id}/messages");
const converse = endpointOf("POST /v1/messages");
const erase = endpointOf("DELETE /v1/conversations/{id}");

/** A conversation of `key`'s with a fact that its model knows, in a chat of its own. */
async function conversationOf(key: ApiKey) {
  const session = newSession();
  const { status, json } = await call(start, { message: TOLD, session }, key);
  expect(status).toBe(201);
  return { id: String(json["conversation_id"]), session };
}

/** Everything that the store and the sessions in Redis have of an owner. */
async function belongings({ id }: ApiKey) {
  const rows = await edge.storeEngine.rowsOf(id);
  const { items } = await edge.store.list(id, { size: 1_000 });
  const own = new Set(items.map((conversation) => conversation.id));
  const chats = Object.entries(await edge.redisStrings("session:*"));
  const sessions = chats.filter(([, value]) => own.has(JSON.parse(value).conversation_id));
  return { rows, sessions };
}

const OF_THE_MOMENT = /^(?:date|x-request-id|apigw-requestid|x-ratelimit-.*|location)$/;

/** What an answer says, without what differs between any two; ids of new conversations are masked. */
function told({ status, headers, json }: EndpointAnswer) {
  const { conversation_id, ...rest } = json;
  const lasting = Object.entries(headers).filter(([name]) => !OF_THE_MOMENT.test(name));
  return { status, headers: Object.fromEntries(lasting), ...rest, isNew: conversation_id !== undefined };
}

test("the table has every route, and no other", () => {
  expect(Object.keys(operations).sort()).toEqual(routes.map(nameOf).sort());
});

test("each key's conversation is known to its own model", async () => {
  for (const key of [ada, bob]) {
    const { session } = await conversationOf(key);
    const { json } = await call(converse, { message: ASKED, session }, key);
    expect(json["reply"]).toContain(SECRET_WORD);
  }
});

describe.each([
  { victim: ada, intruder: bob },
  { victim: bob, intruder: ada },
])("$intruder.id with what is $victim.id's", ({ victim, intruder }) => {
  /** What the intruder is told of the victim's things is what it is told of things that nobody has. */
  async function expectNothing(endpoint: Endpoint, theirs: Parts, nobodys: Parts): Promise<EndpointAnswer> {
    const before = await belongings(victim);
    edge.model.reset();
    const answer = await call(endpoint, theirs, intruder);
    const same = await call(endpoint, nobodys, intruder);
    expect(told(answer)).toEqual(told(same));
    if (answer.status >= 400) expect(answer.body).toEqual(same.body);
    const sent = edge.model.requests.map(({ body }) => body).join();
    expect(`${answer.body} ${JSON.stringify(answer.headers)} ${sent}`).not.toContain(SECRET_WORD);
    expect(await belongings(victim)).toEqual(before);
    return answer;
  }

  describe("a conversation", () => {
    let theirs: Parts & { conversation: string };
    beforeAll(async () => {
      const { id: conversation, session } = await conversationOf(victim);
      const idempotencyKey = unused("key");
      await call(next, { conversation, message: ASKED, idempotencyKey }, victim);
      const page = await send(edge.url, {
        path: `/v1/conversations/${conversation}?page_size=1`,
        headers: as(victim),
      });
      const { next_page_token: pageToken } = JSON.parse(page.body.toString()) as { next_page_token: string };
      expect(pageToken).not.toBe("");
      theirs = { conversation, session, idempotencyKey, pageToken };
    });

    const cases = endpoints
      .filter(({ takes }) => takes.conversation)
      .flatMap((endpoint) =>
        ([undefined, "session", "pageToken", "idempotencyKey"] as const)
          .filter((more) => more === undefined || endpoint.takes[more])
          .map((more) => ({ endpoint, more, title: titleOf(endpoint), and: more ? ` and ${more}` : "" })),
      );
    test.each(cases)("not_found: $title by id$and", async ({ endpoint, more }) => {
      const { conversation } = theirs;
      const parts = { conversation, message: ASKED, ...(more && { [more]: theirs[more] }) };
      const unknown = { session: newSession(), idempotencyKey: unused("key") };
      const nobodys = {
        ...parts,
        conversation: NOBODYS,
        ...(more && more !== "pageToken" && { [more]: unknown[more] }),
      };
      const answer = await expectNothing(endpoint, parts, nobodys);
      expect(answer).toMatchObject({ status: 404, json: { code: "not_found" } });
    });
  });

  const takingTurns = endpoints.filter(({ takes, route }) => takes.session && !route.path.includes("{id}"));
  describe.each(takingTurns.map((one) => ({ ...one, title: titleOf(one) })))("$title", (endpoint) => {
    test("the chat: a conversation of the intruder's own", async () => {
      const { id, session } = await conversationOf(victim);
      const nobodys = { message: ASKED, session: newSession() };
      const { json } = await expectNothing(endpoint, { message: ASKED, session }, nobodys);
      expect(json["conversation_id"]).not.toBe(id);
      const { json: known } = await call(converse, { message: ASKED, session }, victim);
      expect(known).toMatchObject({ conversation_id: id, reply: expect.stringContaining(SECRET_WORD) });
    });

    test("a known Idempotency-Key: a turn of the intruder's own", async () => {
      const theirs = { message: ASKED, session: newSession(), idempotencyKey: unused("key") };
      const first = await call(endpoint, theirs, victim);
      const nobodys = { ...theirs, session: newSession(), idempotencyKey: unused("key") };
      const answer = await expectNothing(endpoint, theirs, nobodys);
      expect(answer.headers["idempotent-replayed"]).toBeUndefined();
      expect(answer.json["conversation_id"]).not.toBe(first.json["conversation_id"]);
      const again = await call(endpoint, theirs, victim);
      expect(again.headers["idempotent-replayed"]).toBe("true");
      expect(again.json).toEqual(first.json);
    });

    test("an Idempotency-Key whose turn is being answered", async () => {
      const theirs = { message: ASKED, session: newSession(), idempotencyKey: unused("key") };
      const hold = edge.hold(theirs.message);
      const first = call(endpoint, theirs, victim);
      await hold.reached;
      const answer = await call(endpoint, theirs, intruder);
      expect(answer.status).toBeLessThan(300);
      hold.release();
      expect(answer.json["conversation_id"]).not.toBe((await first).json["conversation_id"]);
    });
  });

  const listing = endpoints.filter(({ takes }) => takes.pageToken && !takes.conversation);
  describe.each(listing.map((one) => ({ ...one, title: titleOf(one) })))("$title", (endpoint) => {
    test("shows the intruder's own, whatever the page token", async () => {
      await Promise.all([conversationOf(intruder), conversationOf(intruder)]);
      const { id } = await conversationOf(victim);
      await conversationOf(victim);
      const page = await send(edge.url, { path: "/v1/conversations?page_size=2", headers: as(victim) });
      const { next_page_token: pageToken } = JSON.parse(page.body.toString()) as { next_page_token: string };
      expect(page.body.toString()).toContain(id);

      const listed = await call(endpoint, { pageToken }, intruder);
      const { conversations } = listed.json as { conversations: { id: string }[] };
      expect(conversations.length).toBeGreaterThanOrEqual(2);
      const rows = (await belongings(intruder)).rows.map((row) => row["id"] ?? row["_id"]);
      for (const one of conversations) expect(rows).toContain(one.id);

      // The token's conversation is gone, and nothing tells.
      await call(erase, { conversation: id }, victim);
      expect(told(await call(endpoint, { pageToken }, intruder))).toEqual(told(listed));
    });
  });
});

describe("routes that ask for no key", () => {
  const open = routes.filter((route) => operations[nameOf(route)] === "open");

  test.each(open.map((route) => ({ route, name: nameOf(route) })))(
    "$name knows nobody",
    async ({ route }) => {
      const { id } = await conversationOf(ada);
      const paths = [NOBODYS, id].map((one) =>
        route.path === "$default" ? `/v1/conversations/${one}/title` : route.path.replace("{asset}", one),
      );
      const answers = [];
      for (const path of paths) {
        for (const headers of [as(ada), as(bob), as(newKey("stranger")), {}]) {
          const { status, body } = await send(edge.url, { path, headers });
          answers.push({ status, text: body.toString().replace(/"latency_ms":\d+/g, "") });
        }
      }
      for (const answer of answers) expect(answer).toEqual(answers[0]);
      for (const theirs of [id, SECRET_WORD]) expect(answers[0]?.text).not.toContain(theirs);
    },
  );
});
