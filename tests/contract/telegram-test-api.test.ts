import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import telegramTestApi from "telegram-test-api";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BOT, startTelegramRig, type TelegramRig } from "../support/telegram-rig.ts";

/** A Telegram that others wrote, and which knows no secrets. */

// Its types take it for an ES module.
const TelegramServer = telegramTestApi as unknown as typeof telegramTestApi.default;
let telegram: InstanceType<typeof TelegramServer>;
let rig: TelegramRig;
let courier: Server;

beforeAll(async () => {
  telegram = new TelegramServer({ port: await freePort(), host: "127.0.0.1" });
  await telegram.start();
  rig = await startTelegramRig({ between: (engines) => ({ ...engines, telegram: telegram.config.apiURL }) });
  const { result: webhook } = await rig.botApi.call("getWebhookInfo");
  courier = createServer(async (request, response) => {
    const { status } = await fetch(webhook.url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "x-telegram-bot-api-secret-token": rig.env.TELEGRAM_WEBHOOK_SECRET,
      },
      body: new Uint8Array(await buffer(request)),
    });
    response.writeHead(status).end();
  });
  telegram.setWebhook({ url: await addressOf(courier) }, BOT.token);
});
afterAll(async () => {
  courier?.close();
  await Promise.all([telegram?.stop(), rig?.close()]);
});

async function addressOf(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** It takes no port that is not named. */
async function freePort(): Promise<number> {
  const server = createServer();
  const { port } = new URL(await addressOf(server));
  server.close();
  await once(server, "close");
  return Number(port);
}

test("messages of its client are answered by the bot, a command and a follow-up too", async () => {
  const client = telegram.getClient(BOT.token, { chatId: 77, userId: 77, timeout: 20_000 });
  const answerTo = async (deliver: () => Promise<unknown>) => {
    await deliver();
    const { result } = await client.getUpdates();
    return result.map(({ message }: { message: { text: string } }) => message.text);
  };
  const say = (text: string) => answerTo(() => client.sendMessage(client.makeMessage(text)));

  expect(await say("What's the weather in Barcelona?")).toEqual([
    expect.stringMatching(/^In Barcelona, .*°C/),
  ]);
  expect(await say("And tomorrow?")).toEqual([expect.stringMatching(/^Tomorrow, .* in Barcelona/)]);
  expect(await answerTo(() => client.sendCommand(client.makeCommand("/new")))).toEqual([
    "A new conversation: I start from scratch.",
  ]);
  await rig.idle();
  expect(rig.deadLetters()).toEqual([]);
});
