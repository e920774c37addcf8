import { dimensions } from "../packages/core/src/metrics.ts";
import { COLOR, heading, hidden, lineOf, one, type Section } from "./lines.ts";
import { aws, each, own } from "./metrics.ts";
import { type Block, graph, type Line } from "./widgets.ts";

export const caches: Section = (deployment) => {
  const draw = graph(deployment.region);
  const colors = [COLOR.violet, COLOR.good, COLOR.teal, COLOR.green];
  const hitRates = dimensions.cache.flatMap((cache, at): Line[] => {
    const id = cache.replaceAll("-", "_");
    return [
      hidden(`hit_${id}`, own(deployment, "CacheHits", { cache }), "Sum"),
      hidden(`miss_${id}`, own(deployment, "CacheMisses", { cache }), "Sum"),
      {
        expression: `100 * FILL(hit_${id}, 0) / (FILL(hit_${id}, 0) + FILL(miss_${id}, 0))`,
        label: cache,
        ...(colors[at] && { color: colors[at] }),
      },
    ];
  });
  return [
    heading(
      "## Caches, circuit breaker, Redis\nRedis is a fast path: without it every turn is answered, from the store, and **sessions** come from there. An **open** circuit lets nothing through to its weather provider for its cooldown; then one probe (half-open) decides. A retry is **refused** where so many calls fail that repeating them would only add to the load.",
    ),
    {
      height: 6,
      blocks: [
        draw("Cache hit rate", hitRates, { unit: "%", max: 100 }),
        draw(
          "Stale answers and Redis failures",
          [
            lineOf(each(deployment, "CacheStale", "Sum"), { prefix: "stale: " }),
            one("Redis did not answer", own(deployment, "RedisUnavailable"), "Sum", COLOR.bad),
          ],
          { unit: "times" },
        ),
        draw(
          "Circuit breaker",
          [
            one("opened", own(deployment, "CircuitOpened"), "Sum", COLOR.bad),
            one("half-open", own(deployment, "CircuitHalfOpened"), "Sum", COLOR.warn),
            one("closed", own(deployment, "CircuitClosed"), "Sum", COLOR.green),
            one("calls refused", own(deployment, "CircuitRejections"), "Sum", COLOR.calm),
          ],
          { unit: "times" },
        ),
        draw(
          "Retries",
          [
            lineOf(each(deployment, "Retries", "Sum")),
            lineOf(each(deployment, "RetriesRefused", "Sum"), { prefix: "refused: ", color: COLOR.calm }),
          ],
          { unit: "retries" },
        ),
      ],
    },
    {
      height: 6,
      blocks: [
        draw(
          "Where a session was found",
          dimensions.source.map((source, at) =>
            one(
              source,
              own(deployment, "Sessions", { source }),
              "Sum",
              [COLOR.good, COLOR.warn, COLOR.calm][at],
            ),
          ),
          { stacked: true, unit: "turns" },
        ),
        draw(
          "Steps, p95",
          [
            one("session lookup", own(deployment, "SessionLookupDuration"), "p95", COLOR.calm),
            one("store load", own(deployment, "StoreLoadDuration"), "p95", COLOR.better),
            one("store begin", own(deployment, "StoreBeginDuration"), "p95", COLOR.good),
            one("store save", own(deployment, "StoreSaveDuration"), "p95", COLOR.green),
          ],
          { unit: "ms" },
        ),
        draw(
          "Answers repeated",
          [one("turns replayed", own(deployment, "TurnsReplayed"), "Sum", COLOR.teal)],
          {
            unit: "turns",
          },
        ),
      ],
    },
  ];
};

export const telegram: Section = (deployment) => {
  const draw = graph(deployment.region);
  const { queue, deadLetterQueue } = deployment;
  const colors = [COLOR.good, COLOR.calm, COLOR.warn, COLOR.violet];
  return [
    heading(
      "## Telegram\nAn update is queued at once and answered by the worker; a chat's messages wait for each other. **Uncertain** is a part that may or may not have arrived and is not sent again. A **dead letter** was tried three times, and its writer has been told.",
    ),
    {
      height: 6,
      blocks: [
        draw(
          "Updates by what became of them",
          dimensions.action.map((action, at) =>
            one(action, own(deployment, "TelegramUpdates", { action }), "Sum", colors[at]),
          ),
          { stacked: true, unit: "updates" },
        ),
        draw(
          "Messages sent",
          [
            one("sent", own(deployment, "TelegramSends"), "Sum", COLOR.good),
            one("uncertain", own(deployment, "TelegramUncertainSends"), "Sum", COLOR.bad),
            one("refused", own(deployment, "TelegramRefusedSends"), "Sum", COLOR.warn),
            one("as plain text", own(deployment, "TelegramPlainFallbacks"), "Sum", COLOR.violet),
            one("told to wait", own(deployment, "TelegramThrottled"), "Sum", COLOR.calm),
            one("blocked by the user", own(deployment, "TelegramForbidden"), "Sum", COLOR.teal),
          ],
          { unit: "messages" },
        ),
        draw(
          "Time in the queue",
          [
            one("p50", own(deployment, "TelegramQueueDelay"), "p50", COLOR.better),
            one("p99", own(deployment, "TelegramQueueDelay"), "p99", COLOR.good),
            hidden("age", aws("AWS/SQS", "ApproximateAgeOfOldestMessage", queue), "Maximum"),
            { expression: "1000 * age", label: "oldest message", color: COLOR.calm },
          ],
          { unit: "ms" },
        ),
        draw(
          "Queue and dead letters",
          [
            one(
              "waiting",
              aws("AWS/SQS", "ApproximateNumberOfMessagesVisible", queue),
              "Maximum",
              COLOR.good,
            ),
            one(
              "being answered",
              aws("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", queue),
              "Maximum",
              COLOR.better,
            ),
            one(
              "in the dead-letter queue",
              aws("AWS/SQS", "ApproximateNumberOfMessagesVisible", deadLetterQueue),
              "Maximum",
              COLOR.bad,
            ),
            one("attempts failed", own(deployment, "TelegramFailedAttempts"), "Sum", COLOR.warn),
            one("given up", own(deployment, "TelegramDeadLetters"), "Sum", COLOR.violet),
          ],
          { unit: "messages" },
        ),
      ],
    },
  ];
};

export const machinery: Section = (deployment) => {
  const draw = graph(deployment.region);
  const ofFunctions = (name: "Errors" | "Throttles" | "ConcurrentExecutions", stat: string): Line[] =>
    Object.entries(deployment.functions).map(([label, deployed]) => ({
      metric: aws("AWS/Lambda", name, deployed),
      stat,
      label,
    }));
  return [
    heading(
      "## Lambda and the table\n**Errors** are invocations without an answer: crashes and timeouts, which write no metrics of ours. **Throttles** of functions mean that the account's concurrency is used up; of the table, that a partition is too hot.",
    ),
    {
      height: 6,
      blocks: [
        draw("Function errors", ofFunctions("Errors", "Sum"), { unit: "invocations" }),
        draw("Function throttles", ofFunctions("Throttles", "Sum"), { unit: "invocations" }),
        draw("Concurrent executions", ofFunctions("ConcurrentExecutions", "Maximum"), { unit: "at once" }),
      ],
    },
    {
      height: 6,
      blocks: [
        draw("Cold starts", [lineOf(each(deployment, "ColdStart", "Sum"))], {
          stacked: true,
          unit: "starts",
        }),
        ...(deployment.table === undefined ? [] : tableGraphs(deployment.region, deployment.table)),
      ],
    },
  ];
};

function tableGraphs(region: string, table: string): Block[] {
  const draw = graph(region);
  const sum = (label: string, name: Parameters<typeof aws<"AWS/DynamoDB", string>>[1], color: string) =>
    one(label, aws("AWS/DynamoDB", name, table), "Sum", color);
  return [
    draw(
      "Table throttles",
      [sum("reads", "ReadThrottleEvents", COLOR.warn), sum("writes", "WriteThrottleEvents", COLOR.bad)],
      { unit: "requests" },
    ),
    draw(
      "Table units",
      [
        sum("read", "ConsumedReadCapacityUnits", COLOR.better),
        sum("written", "ConsumedWriteCapacityUnits", COLOR.good),
      ],
      { unit: "units" },
    ),
  ];
}
