import { PassThrough } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { runTelegramChat } from "@parley/local/telegram/chat-terminal";
import { renderText } from "@parley/local/telegram/render-message";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type Json,
  startTestBotApi,
  startWebhookServer,
  type TestBotApi,
  type WebhookServer,
} from "../support/bot-api.ts";

let api: TestBotApi;
let hook: WebhookServer;

/** A bot with an answer to everything that the terminal can send. */
async function answer({ callback_query: callback, message, edited_message: edited }: Json): Promise<void> {
  if (callback) {
    await api.call("answerCallbackQuery", {
      callback_query_id: callback.id,
      text: `tapped ${callback.data}`,
    });
    return;
  }
  const {
    chat,
    text,
    location,
    photo,
    message_id,
    message_thread_id,
    reply_to_message: reply,
  } = message ?? edited;
  const send = (params: object) =>
    api.call("sendMessage", { chat_id: chat.id, message_thread_id, ...params });
  if (text === "slow") {
    await api.call("sendChatAction", { chat_id: chat.id, action: "typing" });
    await new Promise((resolve) => setTimeout(resolve, 400));
    await send({ text: "part one" });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await send({ text: "part two" });
  } else if (text === "buttons") {
    const keys = [[{ text: "Yes", callback_data: "y" }], [{ text: "Site", url: "https://a.example" }]];
    await send({ text: "Sure?", reply_markup: { inline_keyboard: keys } });
  } else if (text === "bold") {
    await send({ text: "so bold", entities: [{ type: "bold", offset: 3, length: 4 }] });
  } else if (edited) await send({ text: `edited to ${text}` });
  else if (location) await send({ text: `at ${location.latitude},${location.longitude}` });
  else if (photo) await send({ text: "a photo" });
  else if (reply?.from.is_bot && text) await send({ text: "a reply", reply_parameters: { message_id } });
  else if (text) await send({ text: `${chat.type}: ${text}` });
}

beforeEach(async () => {
  api = await startTestBotApi();
  hook = await startWebhookServer(async ({ update }) => {
    await answer(update);
    return undefined;
  });
  await api.call("setWebhook", { url: hook.url });
});
afterEach(async () => {
  await api.close();
  await hook.close();
});

const quick = { quietMs: 150, silenceMs: 400 };

function reader(stream: PassThrough): () => string {
  let text = "";
  stream.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  return () => text;
}

async function pipe(lines: string[], botApi: string | TestBotApi["control"] = api.url): Promise<string[]> {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const read = reader(output);
  input.end(lines.map((line) => `${line}\n`).join(""));
  await runTelegramChat({ botApi, input, output, ...quick });
  return read().trimEnd().split("\n").slice(1);
}

describe("piped input", () => {
  test("is sent line by line, each when the bot has finished with the one before", async () => {
    expect(await pipe(["hello", "", "slow", "/start now"])).toEqual([
      ...["Test", "private: hello"],
      ...["typing...", "Test", "part one", "Test", "part two"],
      ...["Test", "private: /start now"],
    ]);
    expect(hook.deliveries.map(({ update }) => update.message.text)).toEqual(["hello", "slow", "/start now"]);
  });

  test("takes what a person does beside writing", async () => {
    const lines = ["one", ":edit two", ":location 41.4,2.2", ":photo", ":reply what?", "buttons", ":press 1"];
    expect(await pipe(lines, api.control)).toEqual([
      ...["Test", "private: one"],
      ...["Test", "edited to two"],
      ...["Test", "at 41.4,2.2"],
      ...["Test", "a photo"],
      ...["Test  ↳ what?", "a reply"],
      ...["Test", "Sure?", "[1] Yes", "[2] Site (https://a.example/)"],
      "(tapped y)",
    ]);
  });

  test("goes to groups, topics and back", async () => {
    const shown = await pipe([
      ":group Walkers",
      "chatter",
      "@test_bot hi",
      ":topic Rain",
      "/in",
      ":private",
      "home",
    ]);
    expect(shown).toEqual([
      `In the group "Walkers" with @test_bot; :private goes back.`,
      "(no answer)",
      ...["Test", "supergroup: @test_bot hi"],
      `In the topic "Rain" of a group with @test_bot; :private goes back.`,
      ...[expect.stringMatching(/^Test {2}\(topic \d+\)$/), "supergroup: /in"],
      "Back in the private chat.",
      ...["Test", "private: home"],
    ]);
  });

  test("is told what can't be done, and :quit leaves", async () => {
    const shown = await pipe([
      ":location here",
      ":press 4",
      ":edit x",
      ":fly",
      "a".repeat(4097),
      ":quit",
      "hello",
    ]);
    expect(shown).toEqual([
      "! a location looks like 41.4,2.2",
      "! the bot's last message has no button 4 to press",
      "! there is nothing of yours to edit yet",
      "! there is no :fly; :help lists what there is",
      "! a person's text has 1 to 4096 characters, not 4097",
    ]);
  });

  test("rejects when the Bot API goes away", async () => {
    const [input, output] = [new PassThrough(), new PassThrough()];
    reader(output);
    const chatting = runTelegramChat({ botApi: api.url, input, output, ...quick });
    input.write("hello\n");
    await hook.received(1);
    const gone = expect(chatting).rejects.toThrow("the local Bot API is gone");
    await api.close();
    await gone;
  });
});

describe("on a terminal", () => {
  function terminal() {
    const [input, output] = [new PassThrough(), new PassThrough()];
    const tty = { isTTY: true, columns: 80, setRawMode: () => input };
    Object.assign(input, tty);
    Object.assign(output, tty);
    return { input, output, read: reader(output) };
  }

  test("shows typing, formatting and answers above the prompt; Ctrl-C leaves", async () => {
    const { input, output, read } = terminal();
    const chatting = runTelegramChat({ botApi: api.url, input, output });
    await expect.poll(read).toContain("You are talking to @test_bot");
    input.write("slow\r");
    await expect.poll(() => stripVTControlCharacters(read())).toContain("typing... > ");
    await expect.poll(read).toContain("part two");
    input.write("bold\r");
    await expect.poll(read).toContain("so \u001b[1mbold\u001b[22m");
    input.write("\u0003");
    await chatting;
  });

  test.each([
    ["Ctrl-D", (input: PassThrough) => input.write("\u0004")],
    ["the caller's signal", (_input: PassThrough, stop: AbortController) => stop.abort()],
  ])("%s leaves too", async (_what, leave) => {
    const { input, output, read } = terminal();
    const stop = new AbortController();
    const chatting = runTelegramChat({ botApi: api.control, input, output, stopped: stop.signal });
    await expect.poll(read).toContain("You are talking");
    leave(input, stop);
    await chatting;
  });
});

describe("formatting", () => {
  const text = "bold it code link\nfirst\nsecond\nquoted";
  const entities = [
    { type: "bold", offset: 0, length: 7 },
    { type: "italic", offset: 5, length: 2 },
    { type: "code", offset: 8, length: 4 },
    { type: "text_link", offset: 13, length: 4, url: "https://a.example/" },
    { type: "pre", offset: 18, length: 12, language: "js" },
    { type: "blockquote", offset: 31, length: 6 },
  ];

  test("without colour, links and blocks can still be told", () => {
    expect(renderText(text, entities, false)).toBe(
      "bold it code link (https://a.example/)\n| js\n| first\n| second\n| quoted",
    );
  });

  test("with colour", () => {
    const [first = "", , , code = ""] = renderText(text, entities, true).split("\n");
    const esc = "\u001b[";
    expect(first).toBe(
      `${esc}1mbold ${esc}22m${esc}3m${esc}1mit${esc}22m${esc}23m ${esc}36mcode${esc}39m ${esc}4mlink${esc}24m${esc}2m (https://a.example/)${esc}22m`,
    );
    expect(stripVTControlCharacters(code)).toBe("| second");
  });

  test("a bot can't drive the terminal", () => {
    expect(renderText("a\u001b[2Jb\u0007", [], true)).toBe("a[2Jb");
  });
});
