import { startBotApi } from "@parley/local/telegram/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BOT, type Json, startTestBotApi, type TestBotApi, TOKEN } from "../support/bot-api.ts";

let api: TestBotApi;
let user: number;

beforeEach(async () => {
  api = await startTestBotApi({ bots: [BOT, { token: "77:other", username: "other_bot" }] });
  user = (await api.control.createUser({ first_name: "Ada", language_code: "ca" })).id;
  await api.control.createPrivateChat({ user });
});
afterEach(() => api.close());

const failed = (code: number, description: string | RegExp) => ({
  ok: false,
  error_code: code,
  description: typeof description === "string" ? description : expect.stringMatching(description),
});
const badRequest = (reason: string) => failed(400, `Bad Request: ${reason}`);

describe("addressing", () => {
  const get = async (path: string, init?: RequestInit) => {
    const response = await fetch(`${api.url}${path}`, init);
    return [response.status, await response.json()];
  };

  test("the method's name may be in any case, GET does, and the token's colon may be encoded", async () => {
    const me = {
      ok: true,
      result: expect.objectContaining({ id: 4242, is_bot: true, username: "test_bot" }),
    };
    expect(await get(`/bot${TOKEN}/getMe`)).toEqual([200, me]);
    expect(await get(`/bot${TOKEN}/GETME`, { method: "POST" })).toEqual([200, me]);
    expect(await get(`/bot${TOKEN.replace(":", "%3A")}/getme`)).toEqual([200, me]);
    expect(await get(`/bot${TOKEN}/?method=getMe`)).toEqual([200, me]);
  });

  test.each([
    ["/bot4242:wrong/getMe", 401, "Unauthorized"],
    ["/botwrong/getMe", 401, "Unauthorized: invalid token specified"],
    [`/bot${TOKEN}/getMeNot`, 404, "Not Found: method not found"],
    ["/getMe", 404, "Not Found"],
    ["/", 404, "Not Found"],
  ])("%s is %i", async (path, code, description) => {
    expect(await get(path)).toEqual([code, failed(code, description)]);
  });

  test("a port that is taken is an error", async () => {
    const port = Number(new URL(api.url).port);
    await expect(startBotApi({ port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});

describe("parameters", () => {
  const entities = JSON.stringify([{ type: "bold", offset: 0, length: 5 }]);
  const sent = {
    ok: true,
    result: { text: "hello & more", entities: [{ type: "bold", offset: 0, length: 5 }] },
  };
  const post = async (
    body: string | URLSearchParams | FormData,
    headers: Record<string, string> = {},
    query = "",
  ) => {
    const response = await fetch(`${api.url}/bot${TOKEN}/sendMessage${query}`, {
      method: "POST",
      body,
      headers,
    });
    return await response.json();
  };

  test("come as JSON, form-urlencoded, multipart, or in the query", async () => {
    const fields = { chat_id: String(user), text: "hello & more", entities };
    const json = { "content-type": "application/json" };
    expect(await post(JSON.stringify(fields), json)).toMatchObject(sent);
    expect(
      await post(JSON.stringify({ ...fields, chat_id: user, entities: JSON.parse(entities) }), json),
    ).toMatchObject(sent);
    expect(await post(new URLSearchParams(fields))).toMatchObject(sent);
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    expect(await post(form)).toMatchObject(sent);
    expect(await post("", {}, `?${new URLSearchParams(fields)}`)).toMatchObject(sent);
  });

  test("are missing when the body does not parse or is of another type, as on Telegram's server", async () => {
    const missing = badRequest("message text is empty");
    expect(await post("{", { "content-type": "application/json" })).toEqual(missing);
    expect(await post(`{"chat_id":1,"text":"x"}`, { "content-type": "text/plain" })).toEqual(missing);
  });
});

describe("sendMessage", () => {
  const send = (params: object) => api.call("sendMessage", { chat_id: user, ...params });

  test("answers with the message, which is in the transcript", async () => {
    const { result } = await send({ text: "Hi" });
    expect(result).toEqual({
      message_id: 1,
      from: { id: 4242, is_bot: true, first_name: "Test", username: "test_bot" },
      chat: { id: user, type: "private", first_name: "Ada" },
      date: expect.closeTo(Date.now() / 1000, -1),
      text: "Hi",
    });
    expect((await api.control.transcript({ chat: user })).messages).toEqual([result]);
  });

  test("takes 4096 UTF-16 units after trimming and not one more", async () => {
    expect(await send({ text: `${"😀".repeat(2048)}  ` })).toMatchObject({ ok: true });
    expect(await send({ text: "a".repeat(4097) })).toEqual(badRequest("message is too long"));
    expect(await send({ text: `${"😀".repeat(2048)}a` })).toEqual(badRequest("message is too long"));
    expect(await send({ text: "é".repeat(16_385) })).toEqual(badRequest("text is too long"));
  });

  test.each<[object, string | RegExp]>([
    [{ text: "" }, "message text is empty"],
    [{ text: "  " }, "text must be non-empty"],
    [{ text: "a", chat_id: "" }, "chat_id is empty"],
    [{ text: "a", chat_id: 1 }, "chat not found"],
    [{ text: "a", chat_id: "@nobody" }, "chat not found"],
    [{ text: "a", parse_mode: "HTML" }, /^Bad Request: unsupported parse_mode/],
    [{ text: "a", entities: [{ type: "bold", offset: 0, length: 2 }] }, /^Bad Request: entity beginning/],
    [{ text: "a", message_thread_id: 7 }, "message thread not found"],
    [{ text: "a", reply_parameters: { message_id: 99 } }, "message to be replied not found"],
    [{ text: "a", reply_parameters: "{" }, "can't parse reply parameters JSON object"],
    [{ text: "a", reply_markup: { inline_keyboard: [{ text: "a" }] } }, /must be an Array of Arrays$/],
    [{ text: "a", reply_markup: { inline_keyboard: [[{ text: "a" }]] } }, /Text buttons are unallowed/],
    [
      { text: "a", reply_markup: { inline_keyboard: [[{ text: "a", callback_data: "é".repeat(33) }]] } },
      "BUTTON_DATA_INVALID",
    ],
    [
      { text: "a", reply_markup: { inline_keyboard: [[{ text: "a", url: "nowhere" }]] } },
      /'nowhere' is invalid: Wrong HTTP URL/,
    ],
  ])("refuses %j", async (params, reason) => {
    const description = typeof reason === "string" ? `Bad Request: ${reason}` : reason;
    expect(await send(params)).toEqual(failed(400, description));
  });

  test("a reply says what it answers, and may go without when the message is gone", async () => {
    const { message_id } = await api.control.send({ chat: user, text: "What?" });
    const { result } = await send({ text: "This.", reply_parameters: { message_id, quote: "hat" } });
    expect(result).toMatchObject({
      reply_to_message: { message_id, text: "What?" },
      quote: { text: "hat", position: 1 },
    });
    const gone = { message_id: 99, allow_sending_without_reply: true };
    expect(await send({ text: "a", reply_parameters: gone })).toMatchObject({ ok: true });
    expect(await send({ text: "a", reply_to_message_id: message_id })).toMatchObject({
      result: { reply_to_message: { message_id } },
    });
  });

  test("every bot has its own chat with a user", async () => {
    expect(await api.call("sendMessage", { chat_id: user, text: "a" }, "77:other")).toEqual(
      badRequest("chat not found"),
    );
  });
});

describe("other methods", () => {
  test("sendChatAction shows for 5 seconds, or until a message", async () => {
    const fast = await startTestBotApi({ timeScale: 20 });
    const chat = (await fast.control.createUser()).id;
    await fast.control.createPrivateChat({ user: chat });
    const seen = async () => (await fast.control.transcript({ chat })).actions;
    const type = () => fast.call("sendChatAction", { chat_id: chat, action: "typing" });
    expect(await type()).toEqual({ ok: true, result: true });
    expect(await seen()).toEqual([{ action: "typing" }]);
    await new Promise((resolve) => setTimeout(resolve, 260));
    expect(await seen()).toEqual([]);
    await type();
    await fast.call("sendMessage", { chat_id: chat, text: "done" });
    expect(await seen()).toEqual([]);
    const { events } = await fast.control.transcript({ chat });
    expect(events.map(({ type: kind }) => kind)).toEqual(["action", "action", "message"]);
    const [first] = events;
    expect(first?.type === "action" && first.until - first.at).toBe(5_000);
    await fast.close();
    expect(await api.call("sendChatAction", { chat_id: user, action: "dancing" })).toEqual(
      badRequest("wrong parameter action in request"),
    );
  });

  test("editMessageText changes the bot's own messages", async () => {
    const edit = (params: object) => api.call("editMessageText", { chat_id: user, ...params });
    const { message_id } = (await api.call("sendMessage", { chat_id: user, text: "one" })).result;
    expect(await edit({ message_id, text: "two" })).toMatchObject({
      result: { message_id, text: "two", edit_date: expect.any(Number) },
    });
    expect(await edit({ message_id, text: "two" })).toEqual(failed(400, /message is not modified/));
    expect(await edit({ message_id: 99, text: "x" })).toEqual(badRequest("message to edit not found"));
    const theirs = await api.control.send({ chat: user, text: "mine" });
    expect(await edit({ message_id: theirs.message_id, text: "x" })).toEqual(
      badRequest("message can't be edited"),
    );
    const { messages } = await api.control.transcript({ chat: user });
    expect(messages.map(({ text }) => text)).toEqual(["two", "mine"]);
  });

  test("deleteMessage", async () => {
    const { message_id } = (await api.call("sendMessage", { chat_id: user, text: "one" })).result;
    expect(await api.call("deleteMessage", { chat_id: user, message_id })).toEqual({
      ok: true,
      result: true,
    });
    expect(await api.call("deleteMessage", { chat_id: user, message_id })).toEqual(
      badRequest("message to delete not found"),
    );
    expect((await api.control.transcript({ chat: user })).messages).toEqual([]);
  });

  test("answerCallbackQuery answers a pressed button, once", async () => {
    const keyboard = { inline_keyboard: [[{ text: "Stop", callback_data: "stop" }]] };
    const { result } = await api.call("sendMessage", { chat_id: user, text: "a", reply_markup: keyboard });
    expect(result.reply_markup).toEqual(keyboard);
    const press = { chat: user, message_id: result.message_id, data: "stop" };
    await expect(api.control.press({ ...press, data: "go" })).rejects.toThrow("no button");
    const { callback_query_id } = await api.control.press(press);
    const [update] = (await api.call("getUpdates")).result;
    expect(update.callback_query).toMatchObject({
      id: callback_query_id,
      data: "stop",
      message: { text: "a" },
    });
    const answer = () =>
      api.call("answerCallbackQuery", { callback_query_id, text: "Stopped", show_alert: true });
    expect(await answer()).toEqual({ ok: true, result: true });
    expect(await answer()).toEqual(failed(400, /^Bad Request: query is too old/));
    expect((await api.control.transcript({ chat: user })).events.at(-1)).toMatchObject({
      type: "callback_answer",
      text: "Stopped",
      show_alert: true,
    });
  });

  test("getChat, getFile and leaveChat", async () => {
    expect(await api.call("getChat", { chat_id: user })).toMatchObject({
      result: { id: user, type: "private", first_name: "Ada", accent_color_id: 0 },
    });
    const { voice } = await api.control.send({ chat: user, voice: { duration: 7 } });
    expect(await api.call("getFile", { file_id: voice?.["file_id"] })).toMatchObject({
      result: { file_id: voice?.["file_id"], file_path: expect.stringMatching(/^voice\//) },
    });
    expect(await api.call("getFile", { file_id: "x" })).toEqual(badRequest("invalid file_id"));
    const group = await api.control.createGroup({ members: [user] });
    expect(await api.call("leaveChat", { chat_id: group.id })).toEqual({ ok: true, result: true });
    expect(await api.call("sendMessage", { chat_id: group.id, text: "a" })).toEqual(
      failed(403, "Forbidden: bot is not a member of the supergroup chat"),
    );
  });

  test("commands are kept by scope and language, and the narrowest is offered", async () => {
    const commands = (name: string) => [{ command: name, description: `The ${name}` }];
    const chat = { type: "chat", chat_id: user };
    await api.call("setMyCommands", { commands: commands("anywhere") });
    await api.call("setMyCommands", { commands: commands("here"), scope: chat });
    await api.call("setMyCommands", { commands: commands("aqui"), scope: chat, language_code: "ca" });
    const offered = () => api.control.commands({ chat: user, user });
    expect((await api.call("getMyCommands")).result).toEqual(commands("anywhere"));
    expect((await api.call("getMyCommands", { scope: chat })).result).toEqual(commands("here"));
    expect((await api.call("getMyCommands", { language_code: "de" })).result).toEqual([]);
    expect(await offered()).toEqual(commands("aqui"));
    await api.call("deleteMyCommands", { scope: chat, language_code: "ca" });
    expect(await offered()).toEqual(commands("here"));
    await api.call("deleteMyCommands", { scope: chat });
    expect(await offered()).toEqual(commands("anywhere"));
  });

  test.each<[object, string]>([
    [{ commands: [{ command: "Upper", description: "x" }] }, "BOT_COMMAND_INVALID"],
    [{ commands: [{ command: "/", description: "x" }] }, "command must be non-empty"],
    [{ commands: [{ command: "a".repeat(33), description: "x" }] }, "command length must not exceed 32"],
    [{ commands: [{ command: "a", description: " " }] }, "command description must be non-empty"],
    [{ commands: "a" }, "can't parse commands JSON object"],
    [{ commands: [], language_code: "cat" }, "invalid language code specified"],
    [{ commands: [], scope: { type: "moon" } }, "can't parse BotCommandScope: Unsupported type specified"],
  ])("setMyCommands refuses %j", async (params, reason) => {
    expect(await api.call("setMyCommands", params)).toEqual(badRequest(reason));
  });
});

describe("getUpdates", () => {
  const poll = (params: object = {}): Promise<Json> => api.call("getUpdates", params);
  const say = (text: string) => api.control.send({ chat: user, text });

  test("hands out updates in order until they are confirmed by a higher offset", async () => {
    for (const text of ["one", "two", "three"]) await say(text);
    const { result } = await poll({ limit: 2 });
    expect(result.map(({ message }: Json) => message.text)).toEqual(["one", "two"]);
    expect(result[1].update_id).toBe(result[0].update_id + 1);
    expect((await poll({ offset: result[1].update_id })).result).toHaveLength(2);
    expect((await poll({ offset: result[1].update_id + 1 })).result).toHaveLength(1);
    expect((await poll()).result[0].message.text).toBe("three");
    expect((await poll({ offset: -1 })).result[0].message.text).toBe("three");
  });

  test("waits for an update; another call takes its place with 409", async () => {
    const first = poll({ timeout: 20 });
    await expect.poll(() => api.control.counters()).toMatchObject({ calls: { getUpdates: 1 } });
    const second = poll({ timeout: 20 });
    expect(await first).toEqual(failed(409, /^Conflict: terminated by other getUpdates request/));
    await say("hello");
    expect((await second).result).toMatchObject([{ message: { text: "hello" } }]);
  });

  test("is a conflict while a webhook is set", async () => {
    const waiting = poll({ timeout: 20 });
    await expect.poll(() => api.control.counters()).toMatchObject({ calls: { getUpdates: 1 } });
    await api.call("setWebhook", { url: "http://127.0.0.1:9/" });
    expect(await waiting).toEqual(failed(409, "Conflict: terminated by setWebhook request"));
    expect(await poll()).toEqual(
      failed(409, /^Conflict: can't use getUpdates method while webhook is active/),
    );
    await api.call("deleteWebhook");
    expect(await poll()).toEqual({ ok: true, result: [] });
  });

  test("allowed_updates holds from then on", async () => {
    await poll({ allowed_updates: ["edited_message"] });
    const { message_id } = await say("one");
    await api.control.edit({ chat: user, message_id, text: "two" });
    const { result } = await poll();
    expect(result).toMatchObject([
      { edited_message: { message_id, text: "two", edit_date: expect.any(Number) } },
    ]);
    await poll({ allowed_updates: [] });
    await say("three");
    expect((await poll()).result).toHaveLength(2);
  });
});

describe("rate limits", () => {
  async function flood(chat: number, count: number, at: TestBotApi): Promise<Json[]> {
    const answers = [];
    for (let sent = 0; sent < count; sent += 1) {
      answers.push(await at.call("sendMessage", { chat_id: chat, text: String(sent) }));
    }
    return answers.filter(({ ok }) => !ok);
  }

  test("a burst of 5 in a chat, then 429 with how long to wait, and after that one a second", async () => {
    const limited = await startTestBotApi({ rateLimits: true, timeScale: 3 });
    const chat = (await limited.control.createUser()).id;
    await limited.control.createPrivateChat({ user: chat });
    const refused = await flood(chat, 12, limited);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]).toEqual({
      ...failed(429, "Too Many Requests: retry after 1"),
      parameters: { retry_after: 1 },
    });
    await new Promise((resolve) => setTimeout(resolve, 340));
    expect(await flood(chat, 1, limited)).toEqual([]);
    expect(await limited.control.counters()).toMatchObject({ rate_limited: refused.length });
    await limited.control.setRateLimits({ enabled: false });
    expect(await flood(chat, 10, limited)).toEqual([]);
    await limited.close();
  });

  test("20 a minute in a group, 30 a second altogether", async () => {
    const limited = await startTestBotApi({ rateLimits: true, timeScale: 15 });
    const group = await limited.control.createGroup();
    const refused = [];
    for (let sent = 0; sent < 21; sent += 1) {
      refused.push(...(await flood(group.id, 1, limited)));
      await new Promise((resolve) => setTimeout(resolve, 1_000 / 15));
    }
    expect(refused).toMatchObject([{ parameters: { retry_after: expect.any(Number) } }]);
    expect(refused[0].parameters.retry_after).toBeGreaterThan(30);
    await limited.close();

    const slow = await startTestBotApi({ rateLimits: true, timeScale: 0.1 });
    const users = await Promise.all(Array.from({ length: 31 }, () => slow.control.createUser()));
    const answers = await Promise.all(
      users.map(async ({ id }) => {
        await slow.control.createPrivateChat({ user: id });
        return slow.call("sendMessage", { chat_id: id, text: "a" });
      }),
    );
    expect(answers.filter(({ ok }) => !ok)).toHaveLength(1);
    await slow.close();
  });
});
