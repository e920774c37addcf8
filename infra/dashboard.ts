import { dimensions } from "../packages/core/src/metrics.ts";
import { aws, type Deployment, each, own } from "./metrics.ts";
import { type Block, type DashboardBody, graph, type Line, number, stack, text } from "./widgets.ts";

const COLOR = {
  good: "#2a7de1",
  better: "#7fb2f0",
  bad: "#c0362c",
  warn: "#e08a00",
  calm: "#8b95a5",
  green: "#2e8b57",
  violet: "#7a5cc7",
  teal: "#1a9aa0",
};
/** Of a million tokens, which is what prices are for. */
const MILLION = 1_000_000;

/**
 * The dashboard's body, from the same list of metrics that the code counts by. `alarmArns` are the alarms whose state
 * it shows first.
 */
export function dashboardBody(deployment: Deployment, alarmArns: readonly string[] = []): DashboardBody {
  const sections = [summary, requests, turns, model, caches, telegram, machinery];
  const rows = sections.flatMap((section) => section(deployment, alarmArns));
  return { start: "-PT3H", periodOverride: "auto", widgets: stack(rows) };
}

type Row = { height: number; blocks: Block[] };
type Section = (deployment: Deployment, alarmArns: readonly string[]) => Row[];

const heading = (markdown: string): Row => ({ height: 2, blocks: [text(markdown)] });

const summary: Section = (deployment, alarmArns) => {
  const show = number(deployment.region);
  const sum = (label: string, metric: Parameters<typeof one>[1]) => show(label, [one(label, metric, "Sum")]);
  const turnCount = own(deployment, "Turns");
  return [
    heading(
      `# Parley, ${deployment.stage}\nNumbers are of all the time shown, times are UTC. A graph that is empty had nothing to count: what does not happen is not emitted.`,
    ),
    ...(alarmArns.length > 0
      ? [
          {
            height: 2,
            blocks: [
              { type: "alarm", properties: { title: "Alarms", alarms: [...alarmArns] } },
            ] satisfies Block[],
          },
        ]
      : []),
    {
      height: 3,
      blocks: [
        sum("Requests", own(deployment, "Requests")),
        show("Requests failed, %", [
          {
            id: "rate",
            metric: own(deployment, "RequestFailures"),
            stat: "Average",
            label: "",
            hidden: true,
          },
          { expression: "100 * rate", label: "5xx, %", color: COLOR.bad },
        ]),
        sum("Turns", turnCount),
        show("Turns failed, %", [
          { id: "rate", metric: own(deployment, "TurnFailures"), stat: "Average", label: "", hidden: true },
          { expression: "100 * rate", label: "failed, %", color: COLOR.bad },
        ]),
        show("Turn, slowest 1 %", [one("ms", own(deployment, "TurnDuration"), "p99")]),
        deployment.price
          ? show("Model, US$", [...tokenLines(deployment), { expression: costOf(deployment), label: "US$" }])
          : show("Model, tokens", [
              one("input", own(deployment, "ModelInputTokens", { model: deployment.model }), "Sum"),
            ]),
      ],
    },
  ];
};

const requests: Section = (deployment) => {
  const draw = graph(deployment.region);
  const { apiId } = deployment;
  const count = aws("AWS/ApiGateway", "Count", apiId);
  const perMinute = (label: string, id: string, color: string): Line => ({
    expression: `60 * ${id} / PERIOD(${id})`,
    label,
    color,
  });
  return [
    heading(
      "## Requests\n**API Gateway's** view counts what its own limit turned away and what a function died of; **ours** counts what a function answered. The red line is the alarm's.",
    ),
    {
      height: 6,
      blocks: [
        draw(
          "Requests a minute",
          [
            hidden("ours", own(deployment, "Requests"), "Sum"),
            hidden("rejected", own(deployment, "RequestRejections"), "Sum"),
            hidden("failed", own(deployment, "RequestFailures"), "Sum"),
            hidden("api", count, "Sum"),
            perMinute("answered", "ours", COLOR.good),
            perMinute("4xx", "rejected", COLOR.warn),
            perMinute("5xx", "failed", COLOR.bad),
            perMinute("at API Gateway", "api", COLOR.calm),
          ],
          { unit: "a minute" },
        ),
        draw(
          "Errors",
          [
            hidden("failed", own(deployment, "RequestFailures"), "Average"),
            hidden("api", count, "Sum"),
            hidden("api5xx", aws("AWS/ApiGateway", "5xx", apiId), "Sum"),
            { expression: "100 * failed", label: "5xx of ours", color: COLOR.bad },
            { expression: "100 * FILL(api5xx, 0) / api", label: "5xx at API Gateway", color: COLOR.calm },
          ],
          { unit: "%", limit: { label: "alarm", value: 5 } },
        ),
        draw("Latency", percentiles(own(deployment, "RequestDuration")), { unit: "ms" }),
        draw(
          "Turned away",
          [
            one("over the rate limit", own(deployment, "RateLimited"), "Sum", COLOR.warn),
            one("without a valid key", own(deployment, "AuthenticationFailures"), "Sum", COLOR.bad),
            one("unchecked: no Redis", own(deployment, "RateLimitUnavailable"), "Sum", COLOR.calm),
          ],
          { unit: "requests" },
        ),
      ],
    },
  ];
};

const turns: Section = (deployment) => {
  const draw = graph(deployment.region);
  const outcomeColors = { done: COLOR.good, failed: COLOR.bad, stopped: COLOR.calm };
  const byOutcome = dimensions.outcome.map((outcome): Line => {
    const ids = dimensions.platform.map((platform) => `FILL(${outcome}_${platform}, 0)`);
    return { expression: `SUM([${ids.join(", ")}])`, label: outcome, color: outcomeColors[outcome] };
  });
  const parts = dimensions.outcome.flatMap((outcome) =>
    dimensions.platform.map((platform) =>
      hidden(`${outcome}_${platform}`, own(deployment, "Turns", { platform, outcome }), "Sum"),
    ),
  );
  return [
    heading(
      "## Turns\nOne message and its reply, over the API or Telegram. **Where the time goes** is of an average turn: `model` is the reply without its tools, `title` what waiting for a new conversation's title adds.",
    ),
    {
      height: 6,
      blocks: [
        draw("Turns by outcome", [...parts, ...byOutcome], { stacked: true, unit: "turns" }),
        draw(
          "Turns by platform",
          dimensions.platform.map((platform, at) =>
            one(
              platform,
              own(deployment, "Turns", { platform, outcome: "done" }),
              "Sum",
              [COLOR.good, COLOR.teal, COLOR.violet, COLOR.calm][at],
            ),
          ),
          { stacked: true, unit: "turns done" },
        ),
        draw("Turn latency", percentiles(own(deployment, "TurnDuration")), { unit: "ms" }),
        draw("Where the time goes", stepLines(deployment), { stacked: true, unit: "ms of a turn" }),
      ],
    },
  ];
};

function stepLines(deployment: Deployment): Line[] {
  const ofTurn = (id: string, label: string, color: string): Line => ({
    expression: `FILL(${id}, 0) / turns`,
    label,
    color,
  });
  return [
    hidden("turns", own(deployment, "Turns"), "Sum"),
    hidden("whole", own(deployment, "TurnDuration"), "Sum"),
    hidden("lookup", own(deployment, "SessionLookupDuration"), "Sum"),
    hidden("loading", own(deployment, "StoreLoadDuration"), "Sum"),
    hidden("begin", own(deployment, "StoreBeginDuration"), "Sum"),
    hidden("reply", own(deployment, "ReplyDuration"), "Sum"),
    hidden("tools", own(deployment, "ToolDuration"), "Sum"),
    hidden("save", own(deployment, "StoreSaveDuration"), "Sum"),
    ofTurn("lookup", "session lookup", COLOR.calm),
    ofTurn("loading", "store load", COLOR.better),
    ofTurn("begin", "store begin", COLOR.good),
    {
      // Tools of one round run at the same time, and so may take more than the reply.
      expression: "IF(reply > FILL(tools, 0), (reply - FILL(tools, 0)) / turns, 0)",
      label: "model",
      color: COLOR.violet,
    },
    ofTurn("tools", "tools", COLOR.warn),
    ofTurn("save", "store save", COLOR.green),
    {
      id: "rest",
      expression:
        "whole - FILL(lookup, 0) - FILL(loading, 0) - FILL(begin, 0) - FILL(reply, 0) - FILL(save, 0)",
      label: "",
      hidden: true,
    },
    { expression: "IF(rest > 0, rest / turns, 0)", label: "title and the rest", color: "#d0d5dd" },
  ];
}

const model: Section = (deployment) => {
  const draw = graph(deployment.region);
  const { price, model: name } = deployment;
  const said = price
    ? `**Cost** is ${name}'s tokens at US$ ${price.input} a million (${price.cached} cached), ${price.output} for output.`
    : `Nobody knows what ${name} costs: set \`MODEL_PRICE\` to see it here.`;
  return [
    heading(
      `## Model and tools\n${said} A call is one request, titles and repetitions included. A failed tool is told to the model, not to the user.`,
    ),
    {
      height: 6,
      blocks: [
        draw(
          "Calls to the model",
          [
            lineOf(each(deployment, "ModelCalls", "Sum"), { prefix: "calls: " }),
            lineOf(each(deployment, "ModelFailures", "Sum"), { prefix: "failed: ", color: COLOR.bad }),
          ],
          { unit: "calls" },
        ),
        draw("Latency of a call", percentiles(own(deployment, "ModelDuration")), { unit: "ms" }),
        draw(
          "Tokens",
          [
            lineOf(each(deployment, "ModelInputTokens", "Sum"), { prefix: "input: ", color: COLOR.good }),
            lineOf(each(deployment, "ModelCachedTokens", "Sum"), { prefix: "cached: ", color: COLOR.better }),
            lineOf(each(deployment, "ModelOutputTokens", "Sum"), { prefix: "output: ", color: COLOR.violet }),
          ],
          { unit: "tokens" },
        ),
        price
          ? draw(
              "Cost of the model",
              [
                ...tokenLines(deployment),
                {
                  expression: `3600 * (${costOf(deployment)}) / PERIOD(input)`,
                  label: `${name}, US$ an hour`,
                  color: COLOR.green,
                },
              ],
              { unit: "US$ an hour" },
            )
          : text(`### Cost of the model\nunknown for ${name}: set \`MODEL_PRICE\``),
      ],
    },
    {
      height: 6,
      blocks: [
        draw("Tool calls", [lineOf(each(deployment, "ToolCalls", "Sum"))], { stacked: true, unit: "calls" }),
        draw("Tools that failed", [lineOf(each(deployment, "ToolFailures", "Sum"))], { unit: "calls" }),
        draw("Tool latency, p95", [lineOf(each(deployment, "ToolDuration", "p95"))], { unit: "ms" }),
        draw(
          "Title of a new conversation",
          [
            one("p50", own(deployment, "TitleDuration"), "p50", COLOR.better),
            one("p95", own(deployment, "TitleDuration"), "p95", COLOR.good),
          ],
          { unit: "ms" },
        ),
      ],
    },
  ];
};

const caches: Section = (deployment) => {
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
      "## Caches, circuit breaker, Redis\nRedis is a fast path: without it every turn is answered, from the store, and **sessions** come from there. An **open** circuit lets nothing through to the provider for its cooldown; then one probe (half-open) decides.",
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
        draw("Retries", [lineOf(each(deployment, "Retries", "Sum"))], { unit: "retries" }),
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

const telegram: Section = (deployment) => {
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
            {
              id: "age",
              metric: aws("AWS/SQS", "ApproximateAgeOfOldestMessage", queue),
              stat: "Maximum",
              label: "",
              hidden: true,
            },
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

const machinery: Section = (deployment) => {
  const draw = graph(deployment.region);
  const ofFunctions = (name: "Errors" | "Throttles" | "ConcurrentExecutions", stat: string): Line[] =>
    Object.entries(deployment.functions).map(([label, deployed]) => ({
      metric: aws("AWS/Lambda", name, deployed),
      stat,
      label,
    }));
  return [
    heading(
      "## Lambda and DynamoDB\n**Errors** are invocations without an answer: crashes and timeouts, which write no metrics of ours. **Throttles** of functions mean that the account's concurrency is used up; of the table, that a partition is too hot.",
    ),
    {
      height: 6,
      blocks: [
        draw("Function errors", ofFunctions("Errors", "Sum"), { unit: "invocations" }),
        draw("Function throttles", ofFunctions("Throttles", "Sum"), { unit: "invocations" }),
        draw("Concurrent executions", ofFunctions("ConcurrentExecutions", "Maximum"), { unit: "at once" }),
        draw("Cold starts", [lineOf(each(deployment, "ColdStart", "Sum"))], {
          stacked: true,
          unit: "starts",
        }),
        draw(
          "Table throttles",
          [
            one("reads", aws("AWS/DynamoDB", "ReadThrottleEvents", deployment.table), "Sum", COLOR.warn),
            one("writes", aws("AWS/DynamoDB", "WriteThrottleEvents", deployment.table), "Sum", COLOR.bad),
          ],
          { unit: "requests" },
        ),
        draw(
          "Table units",
          [
            one(
              "read",
              aws("AWS/DynamoDB", "ConsumedReadCapacityUnits", deployment.table),
              "Sum",
              COLOR.better,
            ),
            one(
              "written",
              aws("AWS/DynamoDB", "ConsumedWriteCapacityUnits", deployment.table),
              "Sum",
              COLOR.good,
            ),
          ],
          { unit: "units" },
        ),
      ],
    },
  ];
};

function one(label: string, metric: ReturnType<typeof own>, stat: string, color?: string): Line {
  return { metric, stat, label, ...(color && { color }) };
}

const hidden = (id: string, metric: ReturnType<typeof own>, stat: string): Line => ({
  id,
  metric,
  stat,
  label: id,
  hidden: true,
});

const percentiles = (metric: ReturnType<typeof own>): Line[] => [
  one("p50", metric, "p50", COLOR.better),
  one("p95", metric, "p95", COLOR.good),
  one("p99", metric, "p99", COLOR.violet),
];

function lineOf(
  { search, label }: ReturnType<typeof each>,
  { prefix = "", color }: { prefix?: string; color?: string } = {},
): Line {
  return { expression: search, label: `${prefix}${label}`, ...(color && { color }) };
}

/** The configured model's tokens, for `costOf`. */
function tokenLines(deployment: Deployment): Line[] {
  const { model: name } = deployment;
  return [
    hidden("input", own(deployment, "ModelInputTokens", { model: name }), "Sum"),
    hidden("cached", own(deployment, "ModelCachedTokens", { model: name }), "Sum"),
    hidden("output", own(deployment, "ModelOutputTokens", { model: name }), "Sum"),
  ];
}

/** Of a period, in US dollars: cached tokens are part of the input, at a price of their own. */
export function costOf({ price }: Pick<Deployment, "price">): string {
  if (!price) throw new Error("there is no price to reckon with");
  return `((input - cached) * ${price.input} + cached * ${price.cached} + output * ${price.output}) / ${MILLION}`;
}
