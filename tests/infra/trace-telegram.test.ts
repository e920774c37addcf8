import { setTimeout as sleep } from "node:timers/promises";
import { toEvent } from "@parley/local/queue/event";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startEngines } from "../performance/engines.ts";
import { BOT, startTestBotApi } from "../support/bot-api.ts";
import { emfProblems } from "../support/emf-schema.ts";
import { openQueue, QUEUE } from "../support/queue.ts";
import { callTraced, emfLines, httpEvent } from "../support/traced-function.ts";
import { drawTree, namesOf } from "../support/x-ray.ts";

const SECRET = "the-secret-of-the-webhook";

let engines: Awaited<ReturnType<typeof startEngines>>;
let queue: Awaited<ReturnType<typeof openQueue>>;
let botApi: Awaited<ReturnType<typeof startTestBotApi>>;
let env: Record<string, string>;

beforeAll(async () => {
  [engines, queue, botApi] = await Promise.all([
    startEngines({ redis: { engine: "embedded" } }),
    openQueue(),
    startTestBotApi(),
  ]);
  env = {
    ...engines.env,
    AWS_ENDPOINT_URL_SQS: queue.url,
    TELEGRAM_QUEUE_URL: queue.queueUrl(QUEUE),
    TELEGRAM_BOTS: `${BOT.username}=${BOT.token}`,
    TELEGRAM_WEBHOOK_SECRET: SECRET,
    TELEGRAM_API_ROOT: botApi.url,
  };
});
afterAll(async () => {
  await Promise.all([botApi.close(), queue.close(), engines.close()]);
});

test("an update's trace and request id go through the queue into the worker", async () => {
  const { id } = await botApi.control.createUser({ first_name: "Hunter2" });
  await botApi.control.createPrivateChat({ user: id });
  const message = {
    message_id: 7,
    date: Math.floor(Date.now() / 1_000),
    from: { id, is_bot: false, first_name: "Hunter2" },
    chat: { id, type: "private", first_name: "Hunter2" },
    text: "What's the weather in Barcelona?",
  };
  const headers = { "x-request-id": "request-1", "x-telegram-bot-api-secret-token": SECRET };
  const received = await callTraced(
    { name: "telegram-webhook", entry: "telegram/webhook.ts" },
    env,
    httpEvent("POST", `/telegram/${BOT.username}`, headers, { update_id: 1, message }),
  );
  expect(received.result).toMatchObject({ statusCode: 200 });

  const messages = await queue.receive({ waitS: 5 });
  const event = toEvent(messages, queue.queueArn(QUEUE));
  expect(event.Records[0]?.attributes.AWSTraceHeader).toBe(received.traceHeader);

  // What a queue's own time is: told to the millisecond.
  await sleep(20);
  const worked = await callTraced(
    { name: "telegram-worker", entry: "telegram/worker.ts" },
    { ...env, OPENAI_TIMEOUT_MS: "10000" },
    event,
  );
  process.stdout.write(`\n${drawTree(received.tree)}${drawTree(worked.tree)}`);
  expect(worked.result).toEqual({ batchItemFailures: [] });
  expect(namesOf(received.tree)).toEqual({ "## telegram/webhook.handler": { "queue send": {} } });
  expect(namesOf(worked.tree)).toMatchObject({
    "## telegram/worker.handler": {
      "chat service": {
        "session lookup": {},
        "assistant reply": { model: {}, "tool get_weather": { "weather weatherapi": {} } },
        "store save": {},
      },
      delivery: {},
    },
  });

  const lines = worked.output.filter((line) => !line.includes('"_aws"')).map((line) => JSON.parse(line));
  expect(lines.find(({ message }) => message === "update")).toMatchObject({
    request_id: "request-1",
    receiver_trace_id: received.traceHeader.match(/Root=([^;]+)/)?.[1],
    xray_trace_id: worked.traceHeader.match(/Root=([^;]+)/)?.[1],
    receives: 1,
    duration_ms: expect.any(Number),
  });

  for (const { output, datagrams } of [received, worked]) {
    const metrics = emfLines(output);
    expect(metrics.length).toBeGreaterThan(0);
    for (const line of metrics) expect(emfProblems(line), line).toEqual([]);
    const told = [...datagrams, ...metrics].join("\n");
    for (const secret of [BOT.token, String(id), "Hunter2", "Barcelona", "conv_"])
      expect(told).not.toContain(secret);
  }
});
