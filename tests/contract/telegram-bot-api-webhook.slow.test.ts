import { afterEach, describe, expect, test } from "vitest";
import {
  type Delivery,
  type Json,
  startTestBotApi,
  startWebhookServer,
  type TestBotApi,
  type WebhookServer,
} from "../support/bot-api.ts";

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

type Setup = { api: TestBotApi; hook: WebhookServer; users: number[] };

/** A Bot API with a webhook and as many private chats as asked for. */
async function setUp(
  { timeScale = 1, users = 1, webhook = {} }: { timeScale?: number; users?: number; webhook?: object },
  answer?: Parameters<typeof startWebhookServer>[0],
): Promise<Setup> {
  const api = await startTestBotApi({ timeScale });
  const hook = await startWebhookServer(answer);
  opened.push(api, hook);
  const ids = [];
  for (let index = 0; index < users; index += 1) {
    const { id } = await api.control.createUser();
    await api.control.createPrivateChat({ user: id });
    ids.push(id);
  }
  expect(await api.call("setWebhook", { url: hook.url, ...webhook })).toEqual({ ok: true, result: true });
  return { api, hook, users: ids };
}

const textOf = ({ update }: Delivery): string => update.message.text;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** Between deliveries, in simulated seconds. */
const gaps = (deliveries: readonly Delivery[], timeScale: number) =>
  deliveries.slice(1).map(({ at }, index) => ((at - (deliveries[index]?.at ?? 0)) / 1000) * timeScale);

describe("setWebhook", () => {
  test.each<[object, string]>([
    [{ url: "nowhere" }, "invalid webhook URL specified"],
    [{ url: "ftp://example.com" }, "invalid webhook URL specified"],
    [{ url: "http://example.com" }, "bad webhook: An HTTPS URL must be provided for webhook"],
    [
      { url: "https://example.com:1234" },
      "bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443",
    ],
    [{ url: "http://localhost:1", secret_token: "a b" }, "secret token contains unallowed characters"],
    [{ url: "http://localhost:1", secret_token: "a".repeat(257) }, "secret token is too long"],
  ])("refuses %j", async (params, reason) => {
    const api = await startTestBotApi();
    opened.push(api);
    expect(await api.call("setWebhook", params)).toEqual({
      ok: false,
      error_code: 400,
      description: `Bad Request: ${reason}`,
    });
  });

  test("getWebhookInfo tells it back, until it is deleted", async () => {
    const { api, hook } = await setUp({
      webhook: { max_connections: 500, allowed_updates: ["message", "nonsense"] },
    });
    expect((await api.call("getWebhookInfo")).result).toEqual({
      url: hook.url,
      has_custom_certificate: false,
      pending_update_count: 0,
      max_connections: 100,
      ip_address: "127.0.0.1",
      allowed_updates: ["message"],
    });
    await api.call("setWebhook", { url: "" });
    expect((await api.call("getWebhookInfo")).result).toMatchObject({ url: "", pending_update_count: 0 });
  });

  test("what has been waiting is delivered, or dropped on request", async () => {
    const { api, hook, users } = await setUp({});
    const [chat = 0] = users;
    const settle = async (params: object) => {
      await api.call("deleteWebhook");
      await api.control.send({ chat, text: "waiting" });
      expect((await api.call("getWebhookInfo")).result.pending_update_count).toBe(1);
      await api.call("setWebhook", { url: hook.url, ...params });
      await api.control.send({ chat, text: "fresh" });
      await api.control.settled();
      return hook.deliveries.splice(0).map(textOf);
    };
    expect(await settle({})).toEqual(["waiting", "fresh"]);
    expect(await settle({ drop_pending_updates: true })).toEqual(["fresh"]);
  });
});

describe("delivery", () => {
  test("carries the secret, JSON and consecutive update ids", async () => {
    const { api, hook, users } = await setUp({ webhook: { secret_token: "A_secret-1" } });
    for (const text of ["one", "two", "three"]) await api.control.send({ chat: users[0] ?? 0, text });
    const deliveries = await hook.received(3);
    for (const { headers } of deliveries) {
      expect(headers).toMatchObject({
        "x-telegram-bot-api-secret-token": "A_secret-1",
        "content-type": "application/json",
      });
    }
    const first = deliveries[0]?.update.update_id;
    expect(deliveries.map(({ update }) => update.update_id - first)).toEqual([0, 1, 2]);
    expect(deliveries[0]?.update).toEqual({
      update_id: first,
      message: {
        message_id: 1,
        from: { id: users[0], is_bot: false, first_name: "User 1" },
        chat: { id: users[0], type: "private", first_name: "User 1" },
        date: expect.any(Number),
        text: "one",
      },
    });
  });

  test("without a secret there is no such header", async () => {
    const { api, hook, users } = await setUp({});
    await api.control.send({ chat: users[0] ?? 0, text: "one" });
    const [delivery] = await hook.received(1);
    expect(delivery?.headers).not.toHaveProperty("x-telegram-bot-api-secret-token");
  });

  test("a chat's updates go one after another, those of other chats at the same time", async () => {
    const under = new Map<number, number>();
    let most = 0;
    const { api, hook, users } = await setUp(
      { users: 4, webhook: { max_connections: 3 } },
      async ({ update }) => {
        const chat: number = update.message.chat.id;
        under.set(chat, (under.get(chat) ?? 0) + 1);
        expect(under.get(chat)).toBe(1);
        most = Math.max(
          most,
          [...under.values()].reduce((sum, each) => sum + each),
        );
        await pause(20);
        under.set(chat, 0);
        return undefined;
      },
    );
    for (let turn = 0; turn < 4; turn += 1) {
      for (const chat of users) await api.control.send({ chat, text: String(turn) });
    }
    await api.control.settled();
    expect(hook.deliveries).toHaveLength(16);
    expect(most).toBe(3);
    for (const chat of users) {
      const turns = hook.deliveries.filter(({ update }) => update.message.chat.id === chat).map(textOf);
      expect(turns).toEqual(["0", "1", "2", "3"]);
    }
  });

  test("a callback does not wait behind the chat's messages", async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const { api, hook, users } = await setUp({}, ({ update }) => (update.message ? promise : undefined));
    const [chat = 0] = users;
    const reply_markup = { inline_keyboard: [[{ text: "Stop", callback_data: "stop" }]] };
    const { result } = await api.call("sendMessage", { chat_id: chat, text: "working", reply_markup });
    await api.control.send({ chat, text: "one" });
    await api.control.press({ chat, message_id: result.message_id, data: "stop" });
    const deliveries = await hook.received(2);
    expect(deliveries[1]?.update.callback_query.data).toBe("stop");
    resolve(undefined);
    await api.control.settled();
  });

  test("an update over 64 KiB is dropped and counted, and takes no id", async () => {
    const { api, hook, users } = await setUp({});
    const update = { message: { chat: { id: users[0] }, text: "é".repeat(33_000) } };
    expect(await api.control.inject({ update })).toEqual({});
    await api.control.inject({
      update: { ...update, message: { ...update.message, text: "é".repeat(32_000) } },
    });
    const next = await api.control.inject({ update: { surprise: { any: "thing" } } });
    await api.control.settled();
    expect(hook.deliveries).toHaveLength(2);
    expect(hook.deliveries[1]?.update).toEqual({ update_id: next.update_id, surprise: { any: "thing" } });
    expect(next.update_id).toBe(hook.deliveries[0]?.update.update_id + 1);
    expect(await api.control.counters()).toMatchObject({ dropped: { too_large: 1, expired: 0 } });
  });

  test("a method in the answer is executed, unless it is one of those that are not", async () => {
    const answers: Json[] = [
      { method: "sendChatAction", action: "typing" },
      { method: "sendMessage", text: "from the answer" },
      { method: "deleteWebhook" },
      { method: "sendMessage", text: " " },
    ];
    const { api, users } = await setUp({}, ({ update }, nth) => ({
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ chat_id: update.message.chat.id, ...answers[nth - 1] }),
    }));
    const [chat = 0] = users;
    for (const text of ["one", "two", "three", "four"]) await api.control.send({ chat, text });
    await api.control.settled();
    const { events } = await api.control.transcript({ chat });
    const done = events.filter((event) => event.type !== "message" || event.message.from.is_bot);
    expect(done).toMatchObject([
      { type: "action", action: "typing" },
      { type: "message", message: { text: "from the answer" } },
    ]);
    expect((await api.call("getWebhookInfo")).result).not.toMatchObject({ url: "" });
  });
});

describe("failed deliveries", () => {
  test("are repeated at once, then after 2, 4, 8... seconds up to 60 to 120, holding up their chat alone", async () => {
    const timeScale = 60;
    const { api, hook, users } = await setUp({ timeScale, users: 2 }, ({ update }, nth) =>
      update.message.text === "poison" && nth <= 8 ? { status: 500 } : { status: 204 },
    );
    const [chat = 0, other = 0] = users;
    await api.control.send({ chat, text: "poison" });
    await api.control.send({ chat, text: "behind" });
    await hook.received(2);
    await api.control.send({ chat: other, text: "elsewhere" });
    await expect.poll(async () => (await api.control.transcript({ chat: other })).messages).toHaveLength(1);
    await expect.poll(() => hook.deliveries.some((each) => textOf(each) === "elsewhere")).toBe(true);
    expect(hook.deliveries.some((each) => textOf(each) === "behind")).toBe(false);
    expect((await api.call("getWebhookInfo")).result).toMatchObject({
      pending_update_count: 2,
      last_error_date: expect.any(Number),
      last_error_message: "Wrong response from the webhook: 500 Internal Server Error",
    });
    await api.control.settled();

    const mine = hook.deliveries.filter(({ update }) => update.message.chat.id === chat);
    expect(mine.at(-1)?.update.message.text).toBe("behind");
    const waits = gaps(mine.slice(0, -1), timeScale);
    expect(waits.length).toBeGreaterThanOrEqual(7);
    const expected = [0, 2, 4, 8, 16, 32];
    // A timer on a busy machine is late by milliseconds, which are seconds here; it is never early.
    for (const [index, seconds] of expected.entries()) {
      expect(waits[index]).toBeGreaterThan(seconds - 0.5);
      expect(waits[index]).toBeLessThan(seconds + 15);
    }
    for (const seconds of waits.slice(expected.length)) {
      expect(seconds).toBeGreaterThan(59);
      expect(seconds).toBeLessThan(140);
    }
    const { deliveries, delivered, retries, updates } = await api.control.counters();
    expect([deliveries - delivered, retries, delivered, updates]).toEqual([waits.length, waits.length, 3, 3]);
  });

  test.each([
    ["30", 30, 45],
    ["7200", 3600, 3700],
  ])("Retry-After %s is honoured, up to an hour", async (header, least, most) => {
    const timeScale = 50 * Math.ceil(least / 30);
    const { api, hook, users } = await setUp({ timeScale }, (_delivery, nth) =>
      nth === 1 ? { status: 503, headers: { "retry-after": header } } : undefined,
    );
    await api.control.send({ chat: users[0] ?? 0, text: "one" });
    const [wait] = gaps(await hook.received(2), timeScale);
    expect(wait).toBeGreaterThan(least - 1);
    expect(wait).toBeLessThan(most * 1.2);
  });

  test.each<[string, () => Promise<null> | null, RegExp]>([
    ["an answer that does not come for 60 s", () => null, /Read timeout expired/],
  ])("%s counts as one", async (_what, answer, error) => {
    const { api, hook, users } = await setUp({ timeScale: 60 }, (_delivery, nth) =>
      nth === 1 ? answer() : undefined,
    );
    await api.control.send({ chat: users[0] ?? 0, text: "one" });
    const [wait] = gaps(await hook.received(2), 60);
    // Counted from when the server noticed the delivery, which is later than when it was sent.
    expect(wait).toBeGreaterThan(50);
    await api.control.settled();
    expect((await api.call("getWebhookInfo")).result.last_error_message).toMatch(error);
  });

  test("so does a webhook that is not there, and a redirect", async () => {
    const { api, hook, users } = await setUp({}, () => ({ status: 302, headers: { location: "/" } }));
    const info = async () => (await api.call("getWebhookInfo")).result.last_error_message;
    await api.control.send({ chat: users[0] ?? 0, text: "one" });
    await expect.poll(info).toBe("Wrong response from the webhook: 302 Found");
    await hook.close();
    await api.call("setWebhook", { url: hook.url });
    await expect.poll(info).toBe("Connection refused");
  });

  test("end when the update is 24 hours old, and the chat goes on", async () => {
    const { api, hook, users } = await setUp({ timeScale: 200_000 }, ({ update }) =>
      update.message.text === "poison" ? { status: 500 } : undefined,
    );
    const [chat = 0] = users;
    await api.control.send({ chat, text: "poison" });
    await pause(300);
    await api.control.send({ chat, text: "behind" });
    await api.control.settled();
    expect(hook.deliveries.map(textOf).filter((text) => text === "poison").length).toBeGreaterThan(5);
    expect(await api.control.counters()).toMatchObject({ dropped: { too_large: 0, expired: 1 }, updates: 2 });
    expect(hook.deliveries.map(textOf).indexOf("behind")).toBe(hook.deliveries.length - 1);
  });

  test("another webhook gets what the first had not answered", async () => {
    const { api, hook, users } = await setUp({}, () => null);
    await api.control.send({ chat: users[0] ?? 0, text: "one" });
    await hook.received(1);
    const second = await startWebhookServer();
    opened.push(second);
    await api.call("setWebhook", { url: second.url });
    const [delivery] = await second.received(1);
    expect(delivery?.update).toEqual(hook.deliveries[0]?.update);
    await api.control.settled();
    expect((await api.call("getWebhookInfo")).result.pending_update_count).toBe(0);
  });
});

describe("duplicates", () => {
  test("a delivered update comes again when asked for, after as long as asked for", async () => {
    const { api, hook, users } = await setUp({ timeScale: 100 });
    await api.control.send({ chat: users[0] ?? 0, text: "one" });
    await api.control.settled();
    const { update_id } = hook.deliveries[0]?.update ?? {};
    await api.control.redeliver({ update_id, after_seconds: 20 });
    const [wait] = gaps(await hook.received(2), 100);
    expect(wait).toBeGreaterThan(19);
    expect(hook.deliveries[1]?.update).toEqual(hook.deliveries[0]?.update);
    await api.control.settled();
    expect(await api.control.counters()).toMatchObject({
      deliveries: 2,
      delivered: 1,
      duplicates: 1,
      retries: 0,
    });
    await expect(api.control.redeliver({ update_id: 5 })).rejects.toThrow("no update 5 has been delivered");
  });

  test("a share of all updates comes again, the same ones for the same seed", async () => {
    const run = async () => {
      const { api, hook, users } = await setUp({ timeScale: 100, users: 5 });
      await api.control.duplicate({ probability: 0.3, after_seconds: 10, seed: 7 });
      await Promise.all(
        users.flatMap((chat) =>
          Array.from({ length: 10 }, (_, turn) => api.control.send({ chat, text: String(turn) })),
        ),
      );
      await api.control.settled();
      const names = hook.deliveries.map(
        ({ update }) => `${users.indexOf(update.message.chat.id)} ${update.message.text}`,
      );
      return names.filter((name, index) => names.indexOf(name) !== index).sort();
    };
    const [first, second] = [await run(), await run()];
    expect(first.length).toBeGreaterThan(5);
    expect(first.length).toBeLessThan(28);
    expect(second).toEqual(first);
  });
});
