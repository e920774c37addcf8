import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Bot as GrammyBot, GrammyError, HttpError, InlineKeyboard } from "grammy";
import {
  EntityBuilder,
  InlineKeyboardBuilder,
  NetworkError,
  Api as NodeApi,
  Bot as NodeBot,
  TelegramApiError,
} from "node-telegram-bot-api";
import { createWebhookServer } from "node-telegram-bot-api/node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startTestBotApi, type TestBotApi, TOKEN } from "../support/bot-api.ts";

// Clients that others wrote, so that this server is not shaped by the bot it was built for.

const SECRET = "a-secret";
let api: TestBotApi;
let chat: number;
const servers: Server[] = [];

beforeEach(async () => {
  api = await startTestBotApi();
  chat = (await api.control.createUser({ first_name: "Ada", username: "ada_l" })).id;
  await api.control.createPrivateChat({ user: chat });
});
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
  await api.close();
});

async function listen(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const say = (text: string) => api.control.send({ chat, text });
const answers = async () =>
  (await api.control.transcript({ chat })).messages.filter(({ from }) => from.is_bot).map(({ text }) => text);

describe("grammY", () => {
  const client = () => ({ client: { apiRoot: api.url } });

  test("gets a webhook, answers through the API, edits, presses and types", async () => {
    const bot = new GrammyBot(TOKEN, client());
    await bot.init();
    expect(bot.botInfo).toMatchObject({ id: 4242, username: "test_bot", is_bot: true });
    bot.command("start", (ctx) => ctx.reply(`Hello ${ctx.from?.first_name}`));
    bot.on("message:location", (ctx) => ctx.reply(`at ${ctx.msg.location.latitude}`));
    bot.on("edited_message:text", (ctx) => ctx.reply(`now ${ctx.msg.text}`));
    bot.on("callback_query:data", (ctx) => ctx.answerCallbackQuery(`got ${ctx.callbackQuery.data}`));
    bot.on("message:text", async (ctx) => {
      await ctx.replyWithChatAction("typing");
      await ctx.reply("Pick", {
        reply_markup: new InlineKeyboard().text("One", "1").url("Two", "https://two.example"),
        reply_parameters: { message_id: ctx.msg.message_id },
        entities: [{ type: "bold", offset: 0, length: 4 }],
      });
    });
    const url = await listen(
      createServer(async (request, response) => {
        const chunks = [];
        for await (const chunk of request) chunks.push(chunk);
        const isSigned = request.headers["x-telegram-bot-api-secret-token"] === SECRET;
        if (isSigned) await bot.handleUpdate(JSON.parse(Buffer.concat(chunks).toString()));
        response.writeHead(isSigned ? 200 : 401).end();
      }),
    );
    expect(await bot.api.setWebhook(url, { secret_token: SECRET, max_connections: 5 })).toBe(true);
    expect(await bot.api.getWebhookInfo()).toMatchObject({
      url,
      max_connections: 5,
      pending_update_count: 0,
    });

    await say("/start");
    await api.control.send({ chat, location: { latitude: 41.4, longitude: 2.2 } });
    const { message_id } = await say("pick something");
    await api.control.edit({ chat, message_id, text: "something else" });
    await api.control.settled();
    expect(await answers()).toEqual(["Hello Ada", "at 41.4", "Pick", "now something else"]);

    const { messages } = await api.control.transcript({ chat });
    const pick = messages.find(({ text }) => text === "Pick");
    expect(pick).toMatchObject({ reply_to_message: { message_id }, entities: [{ type: "bold" }] });
    await api.control.press({ chat, message_id: pick?.message_id ?? 0, data: "1" });
    await api.control.settled();
    const { events } = await api.control.transcript({ chat });
    expect(events.at(-1)).toMatchObject({ type: "callback_answer", text: "got 1" });
    expect(events.filter(({ type }) => type === "action")).toHaveLength(1);

    await bot.api.editMessageText(chat, pick?.message_id ?? 0, "Picked");
    await bot.api.deleteMessage(chat, message_id);
    expect(await answers()).toContain("Picked");
    expect(await bot.api.getChat(chat)).toMatchObject({ type: "private", username: "ada_l" });
    expect(await bot.api.deleteWebhook()).toBe(true);
  });

  test("polls", async () => {
    const bot = new GrammyBot(TOKEN, client());
    bot.on("message:text", (ctx) => ctx.reply(ctx.msg.text.toUpperCase()));
    await say("before");
    const started = bot.start({ timeout: 5 });
    await expect.poll(answers).toEqual(["BEFORE"]);
    await say("after");
    await expect.poll(answers).toEqual(["BEFORE", "AFTER"]);
    await bot.stop();
    await started;
    expect((await api.call("getWebhookInfo")).result.pending_update_count).toBe(0);
  });

  test("keeps commands by scope and language", async () => {
    const { api: client } = new GrammyBot(TOKEN, { client: { apiRoot: api.url } });
    const commands = [{ command: "weather", description: "The weather" }];
    await client.setMyCommands(commands, { scope: { type: "all_private_chats" }, language_code: "ca" });
    expect(await client.getMyCommands({ scope: { type: "all_private_chats" }, language_code: "ca" })).toEqual(
      commands,
    );
    expect(await client.getMyCommands()).toEqual([]);
    await client.deleteMyCommands({ scope: { type: "all_private_chats" }, language_code: "ca" });
  });

  test("throws what Telegram would make it throw", async () => {
    const { api: client } = new GrammyBot(TOKEN, { client: { apiRoot: api.url } });
    const error = async (kind: "too_many_requests" | "blocked" | "answer_lost" | "bad_gateway") => {
      await api.control.addFault({ kind, count: 1, retry_after: 5 });
      return await client.sendMessage(chat, "x").catch((thrown: unknown) => thrown);
    };
    const flood = await error("too_many_requests");
    expect(flood).toBeInstanceOf(GrammyError);
    expect(flood).toMatchObject({ error_code: 429, parameters: { retry_after: 5 } });
    expect(await error("blocked")).toMatchObject({ error_code: 403 });
    expect(await error("bad_gateway")).toMatchObject({ error_code: 502 });
    expect(await answers()).toEqual([]);
    expect(await error("answer_lost")).toBeInstanceOf(HttpError);
    expect(await answers()).toEqual(["x"]);
    await expect(client.sendMessage(chat, "")).rejects.toThrow("message text is empty");
    const wrong = new GrammyBot("4242:wrong", { client: { apiRoot: api.url } });
    await expect(wrong.api.getMe()).rejects.toMatchObject({ error_code: 401, description: "Unauthorized" });
  });
});

describe("node-telegram-bot-api", () => {
  const options = () => ({ apiRoot: api.url, maxRetries: 0 });

  test("polls and sends, entities and keyboards included", async () => {
    const bot = new NodeBot(TOKEN, options());
    bot.command("start", (ctx) => ctx.reply("Hi! Send me anything."));
    bot.on("callback_query", (ctx) => ctx.answerCallbackQuery({ text: `tapped ${ctx.callbackQuery?.data}` }));
    bot.on("message", async (ctx) => {
      const rich = new EntityBuilder()
        .plain("Hello ")
        .bold("world ")
        .link("docs", "https://docs.example")
        .build();
      await ctx.reply(rich.text, {
        entities: rich.entities,
        reply_markup: new InlineKeyboardBuilder().text("A", "a").row().text("B", "b").build(),
      });
    });
    const running = bot.startPolling();
    await say("/start");
    await say("anything");
    await expect.poll(answers).toEqual(["Hi! Send me anything.", "Hello world docs"]);
    const { messages } = await api.control.transcript({ chat });
    expect(messages.at(-1)).toMatchObject({
      entities: [
        { type: "bold", offset: 6 },
        { type: "text_link", url: "https://docs.example/" },
      ],
    });
    await api.control.press({ chat, message_id: messages.at(-1)?.message_id ?? 0, data: "b" });
    await expect
      .poll(async () => (await api.control.transcript({ chat })).events.at(-1))
      .toMatchObject({ type: "callback_answer", text: "tapped b" });
    bot.stop();
    await running;
  });

  test("serves a webhook, which is retried when it fails", async () => {
    const bot = new NodeBot(TOKEN, options());
    const attempts: string[] = [];
    bot.on("message", async (ctx) => {
      attempts.push(ctx.message?.text ?? "");
      if (attempts.length === 1) throw new Error("not yet");
      await ctx.reply(`answer to ${ctx.message?.text}`);
    });
    bot.catch((error) => {
      throw error;
    });
    const url = await listen(createWebhookServer(bot, { secretToken: SECRET }));
    await bot.api.setWebhook({ url, secret_token: SECRET });
    await say("one");
    await say("two");
    await api.control.settled();
    expect(attempts).toEqual(["one", "one", "two"]);
    expect(await answers()).toEqual(["answer to one", "answer to two"]);
    expect(await api.control.counters()).toMatchObject({ retries: 1, delivered: 2 });
    await bot.api.setWebhook({ url, secret_token: "another" });
    await say("three");
    await expect
      .poll(async () => (await bot.api.getWebhookInfo()).last_error_message)
      .toMatch(/Wrong response from the webhook: 40\d/);
    expect(attempts).toHaveLength(3);
  });

  test("throws what Telegram would make it throw", async () => {
    const client = new NodeApi(TOKEN, options());
    expect(await client.getMe()).toMatchObject({ username: "test_bot" });
    const error = async (kind: "too_many_requests" | "migrated" | "request_lost") => {
      await api.control.addFault({ kind, count: 1, retry_after: 5, migrate_to_chat_id: -100 });
      return await client.sendMessage({ chat_id: chat, text: "x" }).catch((thrown: unknown) => thrown);
    };
    const flood = await error("too_many_requests");
    expect(flood).toBeInstanceOf(TelegramApiError);
    expect(flood).toMatchObject({ errorCode: 429, retryAfter: 5 });
    expect(await error("migrated")).toMatchObject({ errorCode: 400, migrateToChatId: -100 });
    expect(await error("request_lost")).toBeInstanceOf(NetworkError);
    await expect(client.sendMessage({ chat_id: 1, text: "x" })).rejects.toThrow("chat not found");
    expect(await client.sendChatAction({ chat_id: chat, action: "typing" })).toBe(true);
    expect(await answers()).toEqual([]);
  });
});
