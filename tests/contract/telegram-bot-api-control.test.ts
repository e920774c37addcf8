import { connectControl } from "@parley/local/telegram/control-http";
import type { FaultKind } from "@parley/local/telegram/faults";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BOT, type Json, startTestBotApi, type TestBotApi } from "../support/bot-api.ts";

let api: TestBotApi;

const start = async (options = {}) => {
  await api?.close();
  api = await startTestBotApi(options);
};
beforeEach(() => start());
afterEach(() => api.close());

const newUser = async (fields: object = {}) => {
  const { id } = await api.control.createUser(fields);
  await api.control.createPrivateChat({ user: id });
  return id;
};
/** What the bot has got since the last time. */
const updates = async (): Promise<Json[]> => {
  const { result } = await api.call("getUpdates");
  const last = result.at(-1)?.update_id ?? 0;
  await api.call("getUpdates", { offset: last + 1 });
  return result.map(({ update_id: _id, ...fields }: Json) => fields);
};

describe("people", () => {
  test("say everything that people say", async () => {
    const chat = await newUser({ first_name: "Ada", last_name: "L", username: "ada", language_code: "ca" });
    await api.control.send({ chat, text: "/weather@test_bot Girona" });
    await api.control.send({ chat, location: { latitude: 41.4, longitude: 2.2 } });
    await api.control.send({ chat, photo: true, caption: "look, https://a.org" });
    await api.control.send({ chat, voice: { duration: 4 } });
    await api.control.send({ chat, sticker: true });
    await api.control.send({ chat, document: { file_name: "a.pdf" } });
    await api.control.send({ chat, text: "and", reply_to: 1 });
    await expect(api.control.send({ chat })).rejects.toThrow("neither a text nor anything else");
    await expect(api.control.send({ chat, text: "a".repeat(4097) })).rejects.toThrow("4096 characters");
    await expect(api.control.send({ chat, location: { latitude: 91, longitude: 0 } })).rejects.toThrow(
      "-90 to 90",
    );
    const from = {
      id: chat,
      is_bot: false,
      first_name: "Ada",
      last_name: "L",
      username: "ada",
      language_code: "ca",
    };
    const got = await updates();
    expect(got.map(({ message }) => message.from)).toEqual(got.map(() => from));
    expect(got.map(({ message }) => message)).toMatchObject([
      { text: "/weather@test_bot Girona", entities: [{ type: "bot_command", offset: 0, length: 17 }] },
      { location: { latitude: 41.4, longitude: 2.2 } },
      { photo: [{}, {}, { width: 1280 }], caption_entities: [{ type: "url", offset: 6, length: 13 }] },
      { voice: { duration: 4 } },
      { sticker: { emoji: expect.any(String) } },
      { document: { file_name: "a.pdf" } },
      { reply_to_message: { message_id: 1, text: expect.stringContaining("Girona") } },
    ]);
    expect(got[0].message.chat).not.toHaveProperty("language_code");
  });

  test("can send 4,096 emoji, twice as many UTF-16 units", async () => {
    const chat = await newUser();
    await api.control.send({ chat, text: "😀".repeat(4096) });
    expect((await updates())[0].message.text).toHaveLength(8192);
  });

  test("block the bot and come back", async () => {
    const chat = await newUser();
    await api.control.block({ chat });
    expect(await api.call("sendMessage", { chat_id: chat, text: "a" })).toEqual({
      ok: false,
      error_code: 403,
      description: "Forbidden: bot was blocked by the user",
    });
    await api.control.unblock({ chat });
    expect(await api.call("sendMessage", { chat_id: chat, text: "a" })).toMatchObject({ ok: true });
    const statuses = (await updates()).map(({ my_chat_member: change }) => change.new_chat_member.status);
    expect(statuses).toEqual(["kicked", "member"]);
  });
});

describe("groups", () => {
  const seen = async () =>
    (await updates()).map(({ message }) => message?.text).filter((text) => text !== undefined);

  test("privacy mode: commands, mentions and replies to the bot come through", async () => {
    const { id: chat } = await api.control.createGroup({ title: "Walkers" });
    const { result } = await api.call("sendMessage", { chat_id: chat, text: "I am here" });
    for (const text of [
      "chatter",
      "/start",
      "/start@other_bot",
      "/start@TEST_BOT",
      "hey @test_bot",
      "@test_bots",
    ]) {
      await api.control.send({ chat, text });
    }
    await api.control.send({ chat, text: "yes", reply_to: result.message_id });
    expect(await seen()).toEqual(["/start", "/start@TEST_BOT", "hey @test_bot", "yes"]);
  });

  test("without it, or as an administrator, the bot sees everything", async () => {
    const { id: chat } = await api.control.createGroup({ administrators: true });
    await api.control.send({ chat, text: "chatter" });
    expect(await seen()).toEqual(["chatter"]);
    await start({ bots: [{ ...BOT, can_read_all_group_messages: true }] });
    const group = await api.control.createGroup({ type: "group" });
    expect(group).toMatchObject({ id: expect.any(Number), type: "group", title: "Group" });
    await api.control.send({ chat: group.id, text: "chatter" });
    expect(await seen()).toEqual(["chatter"]);
  });

  test("tell of who comes and goes", async () => {
    const { id: chat } = await api.control.createGroup();
    const { id: user } = await api.control.createUser({ first_name: "Eve" });
    await api.control.join({ chat, user });
    await api.control.leave({ chat, user });
    await api.control.block({ chat });
    expect(await updates()).toMatchObject([
      { my_chat_member: { old_chat_member: { status: "left" }, new_chat_member: { status: "member" } } },
      { message: { new_chat_members: [{ username: "test_bot" }] } },
      { message: { new_chat_members: [{ first_name: "Eve" }] } },
      { message: { left_chat_member: { first_name: "Eve" } } },
      { my_chat_member: { new_chat_member: { status: "kicked" } } },
      { message: { left_chat_member: { username: "test_bot" } } },
    ]);
    expect(await api.call("sendMessage", { chat_id: chat, text: "a" })).toMatchObject({
      description: "Forbidden: bot was kicked from the supergroup chat",
    });
  });

  test("topics are told apart, and what is said in one answers its first message", async () => {
    const { id: chat } = await api.control.createGroup({ is_forum: true, administrators: true });
    const { message_thread_id: thread } = await api.control.createTopic({ chat, name: "Weather" });
    await api.control.send({ chat, text: "in it", message_thread_id: thread });
    await expect(api.control.send({ chat, text: "x", message_thread_id: 99 })).rejects.toThrow("no topic 99");
    const [, , created, said] = await updates();
    expect(created.message).toMatchObject({ message_id: thread, forum_topic_created: { name: "Weather" } });
    expect(said.message).toMatchObject({
      message_thread_id: thread,
      is_topic_message: true,
      reply_to_message: { message_id: thread },
    });
    const send = (message_thread_id: number) =>
      api.call("sendMessage", { chat_id: chat, text: "a", message_thread_id });
    expect((await send(thread)).result).toMatchObject({ message_thread_id: thread, is_topic_message: true });
    expect(await send(1)).toMatchObject({ description: "Bad Request: message thread not found" });
    expect(await send(99)).toMatchObject({ description: "Bad Request: message thread not found" });
    await api.call("sendChatAction", { chat_id: chat, action: "typing", message_thread_id: thread });
    const { actions } = await api.control.transcript({ chat });
    expect(actions).toEqual([{ action: "typing", message_thread_id: thread }]);
  });

  test("without topics a reply carries its thread, and a bot's thread is ignored", async () => {
    const { id: chat } = await api.control.createGroup({ administrators: true });
    const first = await api.control.send({ chat, text: "one" });
    const reply = await api.control.send({ chat, text: "two", reply_to: first.message_id });
    expect(reply).toMatchObject({ message_thread_id: first.message_id });
    expect(reply).not.toHaveProperty("is_topic_message");
    const { result } = await api.call("sendMessage", { chat_id: chat, text: "a", message_thread_id: 99 });
    expect(result).not.toHaveProperty("message_thread_id");
  });

  test("a group that becomes a supergroup answers with its new id", async () => {
    const { id: chat } = await api.control.createGroup({ type: "group", title: "Old" });
    const successor = await api.control.migrate({ chat });
    expect(successor).toMatchObject({ type: "supergroup", title: "Old" });
    expect(await api.call("sendMessage", { chat_id: chat, text: "a" })).toEqual({
      ok: false,
      error_code: 400,
      description: "Bad Request: group chat was upgraded to a supergroup chat",
      parameters: { migrate_to_chat_id: successor.id },
    });
    expect(await api.call("sendMessage", { chat_id: successor.id, text: "a" })).toMatchObject({ ok: true });
    expect((await updates()).slice(2)).toMatchObject([
      { message: { chat: { id: chat }, migrate_to_chat_id: successor.id } },
      { message: { chat: { id: successor.id }, migrate_from_chat_id: chat } },
    ]);
  });
});

describe("what can be seen", () => {
  test("events come after the one that is known, waiting for the next", async () => {
    const chat = await newUser();
    await api.control.send({ chat, text: "one" });
    const { events, next } = await api.control.events({ chat, after: 0 });
    expect(events).toMatchObject([
      { seq: 1, type: "message", at: expect.any(Number), message: { text: "one" } },
    ]);
    const waiting = api.control.events({ chat, after: next, timeout_ms: 5_000 });
    await api.control.edit({ chat, message_id: 1, text: "two" });
    expect(await waiting).toMatchObject({ events: [{ type: "edit", message: { text: "two" } }], next: 2 });
    expect(await api.control.events({ chat, timeout_ms: 10 })).toEqual({ events: [], next: 2, actions: [] });
  });

  test("waitForMessage resolves with what the bot says next, or fails when the time is up", async () => {
    const chat = await newUser();
    await api.call("sendMessage", { chat_id: chat, text: "before" });
    const waiting = api.control.waitForMessage({ chat });
    await api.control.send({ chat, text: "a person's" });
    await api.call("sendMessage", { chat_id: chat, text: "first" });
    const { message, seq } = await waiting;
    expect(message.text).toBe("first");
    await api.call("sendMessage", { chat_id: chat, text: "second" });
    expect(await api.control.waitForMessage({ chat, after: seq })).toMatchObject({
      message: { text: "second" },
    });
    await expect(api.control.waitForMessage({ chat, timeout_ms: 20 })).rejects.toThrow("within 20 ms");
  });

  test("counters tell what was sent where, and settled() that updates wait", async () => {
    const chat = await newUser();
    await api.call("sendMessage", { chat_id: chat, text: "a" });
    await api.call("sendMessage", { chat_id: chat, text: " " });
    await api.control.send({ chat, text: "unread" });
    expect(await api.control.counters()).toMatchObject({
      calls: { sendMessage: 2 },
      sends: { [chat]: 1 },
      updates: 1,
      deliveries: 0,
    });
    await expect(api.control.settled({ timeout_ms: 20 })).rejects.toThrow("still wait");
  });
});

describe("faults", () => {
  const send = (chat: number, text = "a") => api.call("sendMessage", { chat_id: chat, text });
  const texts = async (chat: number) =>
    (await api.control.transcript({ chat })).messages.map(({ text }) => text);

  test.each<[FaultKind, object, Json]>([
    ["too_many_requests", { retry_after: 7 }, { error_code: 429, parameters: { retry_after: 7 } }],
    ["blocked", {}, { error_code: 403, description: "Forbidden: bot was blocked by the user" }],
    [
      "cant_parse_entities",
      {},
      { error_code: 400, description: expect.stringMatching(/can't parse entities/) },
    ],
    ["chat_not_found", {}, { error_code: 400, description: "Bad Request: chat not found" }],
    ["migrated", { migrate_to_chat_id: -100 }, { error_code: 400, parameters: { migrate_to_chat_id: -100 } }],
    ["bad_gateway", {}, { error_code: 502, description: "Bad Gateway" }],
  ])("%s answers with the error, and nothing is sent", async (kind, more, answer) => {
    const chat = await newUser();
    await api.control.addFault({ kind, count: 1, ...more });
    expect(await send(chat)).toMatchObject({ ok: false, ...answer });
    expect(await send(chat, "b")).toMatchObject({ ok: true });
    expect(await texts(chat)).toEqual(["b"]);
    expect(await api.control.faults()).toMatchObject([{ kind, struck: 1 }]);
    expect(await api.control.counters()).toMatchObject({ faults: { [kind]: 1 } });
  });

  test("the status and the Retry-After header say it too", async () => {
    await api.control.addFault({ kind: "too_many_requests", retry_after: 7 });
    const response = await fetch(`${api.url}/bot${BOT.token}/getMe`);
    expect([response.status, response.headers.get("retry-after")]).toEqual([429, "7"]);
  });

  test("a lost request is not executed, a lost answer is", async () => {
    const chat = await newUser();
    await api.control.addFault({ kind: "request_lost", text: "one", count: 1 });
    await api.control.addFault({ kind: "answer_lost", text: "two" });
    await api.control.addFault({ kind: "bad_gateway", text: "three", executed: true });
    await expect(send(chat, "one")).rejects.toThrow("fetch failed");
    await expect(send(chat, "two")).rejects.toThrow("fetch failed");
    expect(await send(chat, "three")).toMatchObject({ error_code: 502 });
    expect(await texts(chat)).toEqual(["two", "three"]);
    expect(await api.control.counters()).toMatchObject({ sends: { [chat]: 2 } });
  });

  test("slow waits, hang does not answer", async () => {
    const chat = await newUser();
    await api.control.addFault({ kind: "slow", delay_seconds: 0.1, text: "slow" });
    await api.control.addFault({ kind: "hang", text: "never" });
    const started = performance.now();
    expect(await send(chat, "slow")).toMatchObject({ ok: true });
    expect(performance.now() - started).toBeGreaterThan(95);
    const hanging = send(chat, "never");
    expect(await Promise.race([hanging, new Promise((resolve) => setTimeout(resolve, 100, "nothing"))])).toBe(
      "nothing",
    );
    const ended = expect(hanging).rejects.toThrow();
    await api.close();
    await ended;
  });

  test("strike only where they are meant to, and are cleared", async () => {
    const [one, other] = [await newUser(), await newUser()];
    const { id } = await api.control.addFault({
      kind: "blocked",
      chat: one,
      method: "sendmessage",
      bot: "test_bot",
    });
    await api.control.addFault({ kind: "bad_gateway", bot: "other_bot" });
    expect(await send(one)).toMatchObject({ error_code: 403 });
    expect(await send(other)).toMatchObject({ ok: true });
    expect(await api.call("sendChatAction", { chat_id: one, action: "typing" })).toMatchObject({ ok: true });
    await api.control.removeFault({ id });
    expect(await send(one)).toMatchObject({ ok: true });
    await api.control.addFault({ kind: "blocked" });
    await api.control.clearFaults();
    expect(await send(one)).toMatchObject({ ok: true });
  });

  test("a probability is a share, which a seed repeats whatever the order of the chats", async () => {
    const run = async (seed: number, reversed: boolean) => {
      await start();
      const chats = [await newUser(), await newUser(), await newUser()];
      await api.control.addFault({ kind: "bad_gateway", probability: 0.3, seed });
      const struck = [];
      for (let turn = 0; turn < 30; turn += 1) {
        for (const chat of reversed ? chats.toReversed() : chats) {
          if (!(await send(chat)).ok) struck.push(`${chats.indexOf(chat)} ${turn}`);
        }
      }
      return struck.sort();
    };
    const first = await run(1, false);
    expect(first.length).toBeGreaterThan(12);
    expect(first.length).toBeLessThan(45);
    expect(await run(1, true)).toEqual(first);
    expect(await run(2, false)).not.toEqual(first);
  });
});

describe("over HTTP", () => {
  const post = async (operation: string, argument: unknown) => {
    const response = await fetch(`${api.url}/_control/${operation}`, {
      method: "POST",
      body: JSON.stringify(argument),
    });
    return [response.status, await response.json()];
  };

  test("the same operations, by the same names", async () => {
    const remote = connectControl(api.url);
    const { id: chat } = await remote.createUser({ first_name: "Ada" });
    await remote.createPrivateChat({ user: chat });
    await remote.send({ chat, text: "hello" });
    const { next } = await remote.events({ chat });
    await api.call("sendMessage", { chat_id: chat, text: "hi" });
    const said = await remote.waitForMessage({ chat, after: next });
    expect(said).toMatchObject({ message: { text: "hi" }, seq: next + 1 });
    expect(await remote.transcript({ chat })).toEqual(await api.control.transcript({ chat }));
    expect(await remote.bots()).toMatchObject([{ username: "test_bot" }]);
    await expect(remote.send({ chat: 1, text: "x" })).rejects.toThrow("there is no chat 1 with @test_bot");
  });

  test.each<[string, unknown, RegExp]>([
    ["send", { chat: "1", text: "x" }, /"chat" must be a number/],
    ["send", { text: "x" }, /"chat" must be a number/],
    ["createUser", { name: "Ada" }, /there is no field "name"; there are id\?, first_name\?/],
    ["createUser", [], /a JSON object/],
    ["addFault", { kind: "earthquake" }, /kind must be one of too_many_requests/],
    ["counters", { bot: "nobody" }, /no bot called nobody/],
  ])("%s refuses %j", async (operation, argument, error) => {
    expect(await post(operation, argument)).toEqual([400, { error: expect.stringMatching(error) }]);
  });

  test("unknown operations are 404, and GET lists what there is", async () => {
    expect(await post("explode", {})).toEqual([404, { error: expect.stringContaining("/_control lists") }]);
    const list = (await (await fetch(`${api.url}/_control`)).json()) as object;
    expect(Object.keys(list)).toEqual(expect.arrayContaining(Object.keys(api.control)));
    expect(await (await fetch(`${api.url}/_control/bots`)).json()).toMatchObject([{ username: "test_bot" }]);
  });
});
