import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, type Endpoint, endpointOf } from "../support/api-calls.ts";
import { type Edge, newKey, startEdge } from "../support/edge.ts";
import { send } from "../support/http.ts";
import { type SeededTurn, seed } from "../support/seed.ts";

const ada = newKey("ada");
const as = { "x-api-key": ada.secret };

let edge: Edge;
beforeAll(async () => {
  edge = await startEdge({ keys: [ada], together: true });
});
afterAll(() => edge.close());

type Message = { id: string; role: string; content: string; timestamp: string };
type Conversation = { id: string; title: string; timestamp: string; messages: Message[] };
type Page = { conversation: Conversation; next_page_token: string };

const whole = endpointOf("GET /v1/conversations/{id}/export");
const next = endpointOf("POST /v1/conversations/{id}/messages");
const call = (endpoint: Endpoint, conversation: string) => ask(edge.url, endpoint, { conversation }, as);

async function pageOf(conversation: string, query: Record<string, string>): Promise<Page> {
  const path = `/v1/conversations/${conversation}?${new URLSearchParams(query)}`;
  const { status, body } = await send(edge.url, { path, headers: as });
  expect(status, body.toString()).toBe(200);
  return JSON.parse(body.toString()) as Page;
}

/** Pages of `size` until there is no more, with what happens between two of them. */
async function pagesOf(conversation: string, size: number, between = async () => {}): Promise<Page[]> {
  const pages = [await pageOf(conversation, { page_size: String(size) })];
  for (let token = pages[0]?.next_page_token; token; token = pages.at(-1)?.next_page_token) {
    await between();
    pages.push(await pageOf(conversation, { page_size: String(size), page_token: token }));
  }
  return pages;
}

const messagesOf = (pages: Page[]) => pages.flatMap(({ conversation }) => conversation.messages);

const TEXTS = [
  "Plain",
  'With "quotes" and \\',
  "Lines\nand\ttabs",
  "Ünïcödé 🐕‍🦺 ключ",
  "\u0000\u001f\u2028</script>",
];
const turnsOf = (count: number): SeededTurn[] =>
  Array.from({ length: count }, (_, index) => ({
    message: `${index} ${TEXTS[index % TEXTS.length]}`,
    reply: `re ${index} ${TEXTS[(index + 1) % TEXTS.length]}`,
  }));

describe("export", () => {
  test.each([1, 101])("of %i turns is every message, in order", async (count) => {
    const turns = turnsOf(count);
    const id = await seed(edge.store, { owner: ada.id, title: "A title", turns });
    const { status, headers, json } = await call(whole, id);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      "content-type": "application/json",
      "content-disposition": `attachment; filename="${id}.json"`,
      "cache-control": "no-store",
    });
    const { messages, ...conversation } = json as unknown as Conversation;
    expect(conversation).toEqual({ id, title: "A title", timestamp: expect.stringMatching(/Z$/) });
    expect(messages.map(({ role, content }) => `${role} ${content}`)).toEqual(
      turns.flatMap(({ message, reply }) => [`USER ${message}`, `ASSISTANT ${reply}`]),
    );
    expect(messages).toEqual(messagesOf(await pagesOf(id, 100)));
    expect(new Set(messages.map((message) => message.id)).size).toBe(2 * count);
  });

  test("has the message of a turn that is still open", async () => {
    const id = await seed(edge.store, { owner: ada.id, turns: [...turnsOf(2), { message: "Open" }] });
    const { messages } = (await call(whole, id)).json as unknown as Conversation;
    expect(messages).toHaveLength(5);
    expect(messages.at(-1)).toMatchObject({ role: "USER", content: "Open" });
  });

  test("of more than a response can carry is out_of_range, and can be read by pages", async () => {
    const turns = Array.from({ length: 100 }, () => ({ message: '"'.repeat(16 * 1024), reply: "Yes." }));
    const id = await seed(edge.store, { owner: ada.id, turns });
    expect(await call(whole, id)).toMatchObject({ status: 400, json: { code: "out_of_range" } });
    expect((await pageOf(id, { page_size: "10" })).conversation.messages).toHaveLength(10);
  });
});

describe("pages of messages", () => {
  const sizes = [1, 2, 3, 4, 5, 7, 8, 9, 10, 100];

  test.each([
    ["whole turns", turnsOf(4), 8],
    ["an open turn at the end", [...turnsOf(4), { message: "Open" }], 9],
    ["one open turn", [{ message: "Open" }], 1],
    ["an open turn in the middle", [...turnsOf(2), { message: "Open" }, ...turnsOf(2)], 9],
  ])("of any size are every message once, and no empty page: %s", async (_what, turns, count) => {
    const id = await seed(edge.store, { owner: ada.id, turns });
    const { messages } = (await call(whole, id)).json as unknown as Conversation;
    expect(messages).toHaveLength(count);
    for (const size of sizes) {
      const pages = await pagesOf(id, size);
      expect(messagesOf(pages), `pages of ${size}`).toEqual(messages);
      expect(pages.map(({ conversation }) => conversation.messages.length)).toEqual(
        Array.from({ length: Math.ceil(count / size) }, (_, page) => Math.min(size, count - page * size)),
      );
    }
  });

  test.each([1, 3, 4])("of %i go on while the conversation does", async (size) => {
    const id = await seed(edge.store, { owner: ada.id, turns: turnsOf(3) });
    let left = 3;
    const pages = await pagesOf(id, size, async () => {
      if (left-- > 0) expect((await call(next, id)).status).toBe(200);
    });
    const { messages } = (await call(whole, id)).json as unknown as Conversation;
    expect(messagesOf(pages)).toEqual(messages);
    expect(messages.length).toBeGreaterThan(6);
  });

  test("a page that ended before a reply begins with it, once it is there", async () => {
    const id = await seed(edge.store, { owner: ada.id, turns: turnsOf(1) });
    const page = await pageOf(id, { page_size: "1" });
    expect(page.conversation.messages).toMatchObject([{ role: "USER" }]);
    const last = await pageOf(id, { page_size: "1", page_token: page.next_page_token });
    expect(last.conversation.messages).toMatchObject([{ role: "ASSISTANT" }]);
    expect(last.next_page_token).toBe("");
  });

  test("page_size: 100 unless it is given, also as an empty one", async () => {
    const id = await seed(edge.store, { owner: ada.id, turns: turnsOf(51) });
    for (const query of [{}, { page_size: "" }, { page_size: "0" }, { page_token: "" }]) {
      expect((await pageOf(id, query)).conversation.messages).toHaveLength(100);
    }
  });
});
