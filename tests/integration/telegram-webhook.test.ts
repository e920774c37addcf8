import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ADA, BOT, commanding, FORUM, messageOf, SUPERGROUP } from "../support/telegram-messages.ts";
import {
  MARK,
  NOBODY,
  newUpdate,
  OTHER_TOKEN,
  PREVIOUS_SECRET,
  type Receiver,
  SECRET,
  startReceiver,
  textUpdate,
} from "../support/telegram-receiver.ts";

const ROTATING = { TELEGRAM_WEBHOOK_SECRET: `${SECRET},${PREVIOUS_SECRET}` };

let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver();
});
afterEach(() => {
  expect(receiver.leaks()).toEqual([]);
});
afterAll(() => receiver?.close());

describe("who may deliver", () => {
  const WRONG: Record<string, string | null> = {
    none: null,
    empty: "",
    short: SECRET.slice(0, -1),
    long: `${SECRET}x`,
    "of the same length": SECRET.replace("s", "t"),
    "in another case": SECRET.toUpperCase(),
    "the setting": ROTATING.TELEGRAM_WEBHOOK_SECRET,
    "the token": BOT.token,
    huge: "x".repeat(100_000),
    "not ASCII": "sécret",
  };

  test("nobody without the secret, and all are told the same, whatever bot they name", async () => {
    receiver.deploy(ROTATING);
    const answers = new Set<string>();
    const asked = await receiver.askedBy(async () => {
      for (const secret of Object.values(WRONG)) {
        for (const bot of [BOT.name, "no_such_bot", "%2e%2e", "__proto__"]) {
          const { status, headers, text } = await receiver.send({ update: textUpdate(), secret, bot });
          answers.add(`${status} ${text} ${JSON.stringify(headers)}`);
        }
      }
    });
    expect(asked).toEqual(NOBODY);
    expect([...answers]).toEqual([expect.stringMatching(/^401 .*"code":"unauthenticated"/)]);
  });

  test("nobody to a bot that is not ours", async () => {
    receiver.deploy();
    for (const bot of [
      "no_such_bot",
      BOT.name.toUpperCase(),
      `@${BOT.name}`,
      "constructor",
      `${BOT.name}%20`,
    ]) {
      const { status, enqueued } = await receiver.outcomeOf(textUpdate(), { bot });
      expect([bot, status, enqueued]).toEqual([bot, 401, []]);
    }
  });

  test("who knows the current secret or, while it is rotated, the previous one", async () => {
    receiver.deploy(ROTATING);
    for (const secret of [SECRET, PREVIOUS_SECRET]) {
      const { status, enqueued } = await receiver.outcomeOf(textUpdate(), { secret });
      expect([status, enqueued.length]).toEqual([200, 1]);
    }
    receiver.deploy();
    const { status, enqueued } = await receiver.outcomeOf(textUpdate(), { secret: PREVIOUS_SECRET });
    expect([status, enqueued.length]).toEqual([401, 0]);
  });

  test.each([
    ["TELEGRAM_BOTS", ""],
    ["TELEGRAM_BOTS", "somebody"],
    ["TELEGRAM_WEBHOOK_SECRET", ""],
    ["TELEGRAM_WEBHOOK_SECRET", "short"],
    ["TELEGRAM_ALLOWED_USERS", "@ada"],
    ["TELEGRAM_QUEUE_URL", ""],
  ])("nobody while %s is %j, and the log names it", async (name, value) => {
    receiver.deploy({ [name]: value });
    for (const secret of [SECRET, "", null, "short"]) {
      const { status, enqueued } = await receiver.outcomeOf(textUpdate(), { secret });
      expect([status, enqueued]).toEqual([412, []]);
    }
    expect(receiver.logged(`Wrong settings: ${name}: `)).toHaveLength(4);
  });
});

describe("an update for the worker", () => {
  test("is in its chat's group of the queue, as it is, and typing is the answer", async () => {
    receiver.deploy();
    const update = textUpdate();
    const headers = { "content-type": "application/json", "x-request-id": "request-1" };
    const { status, json, enqueued } = await receiver.outcomeOf(update, { headers });
    expect([status, json]).toEqual([200, { method: "sendChatAction", chat_id: ADA.id, action: "typing" }]);
    const deduplicationId = `${BOT.name}:${update["update_id"]}`;
    expect(enqueued).toMatchObject([{ groupId: `${BOT.name}:${ADA.id}`, deduplicationId }]);
    expect(JSON.parse(enqueued[0]!.body)).toEqual({ bot: BOT.name, request_id: "request-1", update });
  });

  test("is in its topic's group, and typing is shown there", async () => {
    receiver.deploy();
    const topic = { message_thread_id: 33, is_topic_message: true };
    const message = messageOf({ ...commanding("/help"), ...topic }, FORUM);
    const { json, enqueued } = await receiver.outcomeOf(newUpdate({ message }));
    const target = { chat_id: FORUM.id, message_thread_id: 33 };
    expect(json).toEqual({ method: "sendChatAction", ...target, action: "typing" });
    expect(enqueued).toMatchObject([{ groupId: `${BOT.name}:${FORUM.id}:33` }]);
  });

  test("in a thread of replies is in the chat's", async () => {
    receiver.deploy();
    const reply = { text: MARK, message_thread_id: 33, reply_to_message: { from: { id: BOT.id } } };
    const update = newUpdate({ message: messageOf(reply, SUPERGROUP) });
    const { json, enqueued } = await receiver.outcomeOf(update);
    expect(json).toEqual({ method: "sendChatAction", chat_id: SUPERGROUP.id, action: "typing" });
    expect(enqueued).toMatchObject([{ groupId: `${BOT.name}:${SUPERGROUP.id}` }]);
  });

  test("that was edited shows no typing: it may have nothing new to say", async () => {
    receiver.deploy();
    const { json, enqueued } = await receiver.outcomeOf(
      newUpdate({ edited_message: messageOf({ text: MARK }) }),
    );
    expect(json).toEqual({});
    expect(enqueued).toMatchObject([{ groupId: `${BOT.name}:${ADA.id}` }]);
  });

  test("that comes again, or twice at once, is one message", async () => {
    receiver.deploy();
    const update = textUpdate();
    const enqueued = await receiver.enqueuedBy(async () => {
      await Promise.all([receiver.send({ update }), receiver.send({ update })]);
      await receiver.send({ update });
    });
    expect(enqueued).toHaveLength(1);
  });

  test("of two bots with one id is two messages", async () => {
    receiver.deploy({ TELEGRAM_BOTS: `${BOT.name}=${BOT.token},@other_bot=${OTHER_TOKEN}` });
    const update = textUpdate();
    const enqueued = await receiver.enqueuedBy(async () => {
      for (const bot of [BOT.name, "other_bot"]) await receiver.send({ update, bot });
    });
    expect(enqueued.map(({ groupId }) => groupId)).toEqual([`${BOT.name}:${ADA.id}`, `other_bot:${ADA.id}`]);
    expect(enqueued.map(({ body }) => JSON.parse(body).bot)).toEqual([BOT.name, "other_bot"]);
  });

  test.each([
    {},
    { "content-type": "application/json; charset=utf-8" },
    { "content-type": "application/octet-stream" },
    { "content-type": "text/plain" },
  ])("is read as JSON with the headers %j", async (headers) => {
    receiver.deploy();
    const update = textUpdate({ text: `é 🙂 ${MARK}` });
    const { status, enqueued } = await receiver.outcomeOf(update, { headers });
    expect([status, enqueued.map(({ body }) => JSON.parse(body).update)]).toEqual([200, [update]]);
  });

  test("costs one request, to the queue, also the first of an instance", async () => {
    const first = await receiver.askedBy(async () => {
      receiver.deploy();
      await receiver.send({ update: textUpdate() });
    });
    expect(first).toEqual({ ...NOBODY, queue: 1 });
    expect(await receiver.askedBy(() => receiver.send({ update: textUpdate() }))).toEqual(first);
  });
});

describe("a queue that fails", () => {
  test.each(["error", "drop-before"] as const)(
    "%s: Telegram is to bring the update again, a little later, and then it is taken",
    async (kind) => {
      receiver.deploy();
      const update = textUpdate();
      const lift = receiver.queue.inject({ operation: "SendMessage", kind, times: Number.POSITIVE_INFINITY });
      const { status, headers } = await receiver.send({ update });
      lift();
      expect([status, headers["retry-after"]]).toEqual([503, "1"]);
      expect(receiver.logged('"level":"ERROR"')).toHaveLength(1);
      expect((await receiver.outcomeOf(update)).enqueued).toHaveLength(1);
    },
  );

  test.each(["error", "drop-before", "drop-after"] as const)(
    "%s once is nothing to trouble Telegram with, and makes no second message",
    async (kind) => {
      receiver.deploy();
      const lift = receiver.queue.inject({ operation: "SendMessage", kind });
      const { status, enqueued } = await receiver.outcomeOf(textUpdate());
      lift();
      expect([status, enqueued.length]).toEqual([200, 1]);
    },
  );

  test("hanging: told before the function's time is over, and one message in the end", async () => {
    receiver.deploy();
    const update = textUpdate();
    const lift = receiver.queue.inject({ operation: "SendMessage", kind: "hang", times: 1 });
    const { status, enqueued } = await receiver.outcomeOf(update, { timeoutMs: 1_200 });
    lift();
    expect([status, enqueued]).toEqual([503, []]);
    expect((await receiver.outcomeOf(update)).enqueued).toHaveLength(1);
  });

  test("not being there", async () => {
    receiver.deploy({ TELEGRAM_QUEUE_URL: `${receiver.queue.url}/000000000000/nowhere.fifo` });
    expect((await receiver.send({ update: textUpdate() })).status).toBe(503);
  });
});
