import { MAX_ATTEMPTS } from "@parley/core/telegram/worker";
import { describe, expect, test } from "vitest";
import { stageGraph } from "../support/sst/stages.ts";

const graph = stageGraph("production");
const queue = (name: string) => graph.one("aws:sqs/queue:Queue", `${name}Queue`).inputs;
const arnOf = (name: string) => `arn:aws:sqs:us-east-1:123456789012:${queue(name)["name"]}`;

describe("the queue between receiver and worker", () => {
  test("keeps the order of a chat, and takes our own deduplication ids", () => {
    for (const name of ["TelegramUpdates", "TelegramDeadLetters"]) {
      expect(queue(name)).toMatchObject({ fifoQueue: true, contentBasedDeduplication: false });
      expect(queue(name)["name"]).toMatch(/\.fifo$/);
    }
  });

  test("hides an update for longer than its worker may take", () => {
    expect(queue("TelegramUpdates")["visibilityTimeoutSeconds"]).toBeGreaterThan(
      Number(graph.fn("TelegramWorker")["timeout"]),
    );
  });

  test("keeps what is not answered after the last attempt, and the one that tells the user, for 14 days", () => {
    expect(JSON.parse(String(queue("TelegramUpdates")["redrivePolicy"]))).toEqual({
      deadLetterTargetArn: arnOf("TelegramDeadLetters"),
      maxReceiveCount: MAX_ATTEMPTS + 1,
    });
    expect(queue("TelegramDeadLetters")["messageRetentionSeconds"]).toBe(14 * 24 * 3_600);
  });

  test("hands the worker one update at a time, and takes back the one that failed", () => {
    const { inputs } = graph.one("aws:lambda/eventSourceMapping:EventSourceMapping");
    expect(inputs).toMatchObject({
      eventSourceArn: arnOf("TelegramUpdates"),
      batchSize: 1,
      functionResponseTypes: ["ReportBatchItemFailures"],
      scalingConfig: { maximumConcurrency: 20 },
    });
    expect(graph.functionOf(inputs["functionName"])).toBe("TelegramWorker");
  });

  test("the worker's model calls may take longer than the API's", () => {
    expect(graph.environment("TelegramWorker")["OPENAI_TIMEOUT_MS"]).toBe("60000");
    expect(graph.environment("StartConversation")).not.toHaveProperty("OPENAI_TIMEOUT_MS");
  });
});
