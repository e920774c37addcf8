import { costOf } from "./lines.ts";
import { aws, type Deployment, type Metric, own } from "./metrics.ts";

/** A metric, or an expression over the others; the last of an alarm is what is compared. */
export type AlarmQuery<Name = string> = { id: string } & (
  | { metric: Metric<Name>; stat: string }
  | { expression: string }
);

export type Alarm<Name = string> = {
  name: string;
  /** What has happened, in the mail's words. */
  meaning: string;
  queries: AlarmQuery<Name>[];
  threshold: number;
  periodS: number;
  /** So many periods must be over the threshold, of so many. */
  datapoints: number;
  periods: number;
};

export type AlarmSettings = {
  /** US dollars of model tokens an hour that are to raise an alarm; there is none without it. */
  modelUsdPerHour?: number | undefined;
};

/** With less traffic than this in a period, one failure would be a rate. */
const ENOUGH_REQUESTS = 20;
const ENOUGH_TURNS = 20;
const MAX_ERROR_PERCENT = 5;
const MAX_TURN_MS = 15_000;
/** Longer than a message takes that fails three times, so that this tells of a queue and not of a message. */
const MAX_QUEUE_AGE_S = 600;
const TURNED_AWAY = 20;
/** CloudWatch takes so many metrics in one alarm. */
const MAX_METRICS = 10;

/**
 * All alarms; each is over its threshold when something has to be done, and its entry in the README's runbook
 * (`#name`) says what. Missing data is no breach: what does not happen is not emitted.
 */
export function alarms<Name>(deployment: Deployment<Name>, settings: AlarmSettings = {}): Alarm<Name>[] {
  const { apiId, table, queue, deadLetterQueue, price, model } = deployment;
  const fiveMinutes = { periodS: 300, datapoints: 1, periods: 1 };
  const atOnce = { periodS: 60, datapoints: 1, periods: 1 };
  const usdPerHour = settings.modelUsdPerHour;
  if (usdPerHour !== undefined && !price) {
    throw new Error(`ALARM_MODEL_USD_PER_HOUR is set, but nobody knows what ${model} costs: set MODEL_PRICE`);
  }
  return [
    {
      name: "error-rate",
      meaning: `More than ${MAX_ERROR_PERCENT} % of the API's requests were answered with 5xx.`,
      queries: [
        { id: "requests", metric: aws("AWS/ApiGateway", "Count", apiId), stat: "Sum" },
        { id: "failed", metric: aws("AWS/ApiGateway", "5xx", apiId), stat: "Sum" },
        {
          id: "rate",
          expression: `IF(requests >= ${ENOUGH_REQUESTS}, 100 * FILL(failed, 0) / requests, 0)`,
        },
      ],
      threshold: MAX_ERROR_PERCENT,
      ...fiveMinutes,
    },
    {
      name: "turn-failures",
      meaning: `More than ${MAX_ERROR_PERCENT} % of the turns, Telegram's included, had no answer.`,
      queries: [
        { id: "turns", metric: own(deployment, "Turns"), stat: "Sum" },
        { id: "failed", metric: own(deployment, "TurnFailures"), stat: "Average" },
        { id: "rate", expression: `IF(turns >= ${ENOUGH_TURNS}, 100 * failed, 0)` },
      ],
      threshold: MAX_ERROR_PERCENT,
      ...fiveMinutes,
    },
    {
      name: "turn-latency",
      meaning: `One turn in a hundred took longer than ${MAX_TURN_MS / 1_000} s, for a quarter of an hour.`,
      queries: [
        { id: "turns", metric: own(deployment, "Turns"), stat: "Sum" },
        { id: "slowest", metric: own(deployment, "TurnDuration"), stat: "p99" },
        { id: "p99", expression: `IF(turns >= ${ENOUGH_TURNS}, slowest, 0)` },
      ],
      threshold: MAX_TURN_MS,
      periodS: 300,
      datapoints: 3,
      periods: 3,
    },
    {
      name: "breaker-open",
      meaning: "The circuit to a weather provider opened: it keeps failing, and is not asked for a while.",
      queries: [{ id: "opened", metric: own(deployment, "CircuitOpened"), stat: "Sum" }],
      threshold: 0,
      ...atOnce,
    },
    {
      name: "dead-letters",
      meaning: "A Telegram message was given up after three attempts; its writer has been told.",
      queries: [{ id: "dead", metric: own(deployment, "TelegramDeadLetters"), stat: "Sum" }],
      threshold: 0,
      ...atOnce,
    },
    {
      // A function that is killed in its last attempt counts nothing, and the queue moves the message all the same.
      name: "dead-letter-queue",
      meaning: "The dead-letter queue holds Telegram messages that nobody has looked at.",
      queries: [
        {
          id: "waiting",
          metric: aws("AWS/SQS", "ApproximateNumberOfMessagesVisible", deadLetterQueue),
          stat: "Maximum",
        },
      ],
      threshold: 0,
      ...fiveMinutes,
    },
    {
      name: "queue-age",
      meaning: `A Telegram message has waited for more than ${MAX_QUEUE_AGE_S / 60} minutes.`,
      queries: [
        { id: "age", metric: aws("AWS/SQS", "ApproximateAgeOfOldestMessage", queue), stat: "Maximum" },
      ],
      threshold: MAX_QUEUE_AGE_S,
      periodS: 60,
      datapoints: 3,
      periods: 3,
    },
    ...functionThrottles(deployment),
    {
      // What API Gateway refuses itself reaches no function: its 4xx and not ours.
      name: "api-throttles",
      meaning: "API Gateway turned requests away itself: the stage's limit is reached.",
      queries: [
        { id: "all", metric: aws("AWS/ApiGateway", "4xx", apiId), stat: "Sum" },
        { id: "ours", metric: own(deployment, "RequestRejections"), stat: "Sum" },
        { id: "refused", expression: "FILL(all, 0) - FILL(ours, 0)" },
      ],
      threshold: TURNED_AWAY,
      ...fiveMinutes,
    },
    ...(table === undefined ? [] : [tableThrottles(table)]),
    ...(usdPerHour
      ? [
          {
            name: "model-cost",
            meaning: `${model}'s tokens of one hour cost more than US$ ${usdPerHour}.`,
            queries: [
              { id: "input", metric: own(deployment, "ModelInputTokens", { model }), stat: "Sum" },
              { id: "cached", metric: own(deployment, "ModelCachedTokens", { model }), stat: "Sum" },
              { id: "output", metric: own(deployment, "ModelOutputTokens", { model }), stat: "Sum" },
              { id: "usd", expression: costOf(deployment) },
            ],
            threshold: usdPerHour,
            periodS: 3_600,
            datapoints: 1,
            periods: 1,
          },
        ]
      : []),
  ];
}

function functionThrottles<Name>({ functions }: Deployment<Name>): Alarm<Name>[] {
  const entries = Object.entries(functions);
  const groups = {
    api: entries.filter(([name]) => !name.startsWith("telegram-")),
    telegram: entries.filter(([name]) => name.startsWith("telegram-")),
  };
  return Object.entries(groups)
    .filter(([, group]) => group.length > 0)
    .map(([group, members]): Alarm<Name> => {
      if (members.length > MAX_METRICS) throw new Error(`an alarm cannot watch ${members.length} functions`);
      const queries = members.map(([, deployed], at): AlarmQuery<Name> => {
        return { id: `f${at}`, metric: aws("AWS/Lambda", "Throttles", deployed), stat: "Sum" };
      });
      const filled = queries.map(({ id }) => `FILL(${id}, 0)`).join(", ");
      return {
        name: `${group}-function-throttles`,
        meaning: `Lambda refused to run functions of ${group === "api" ? "the API" : "Telegram"}: concurrency is used up.`,
        queries: [...queries, { id: "throttled", expression: `SUM([${filled}])` }],
        threshold: 0,
        periodS: 60,
        datapoints: 1,
        periods: 1,
      };
    });
}

const tableThrottles = <Name>(table: Name): Alarm<Name> => ({
  name: "table-throttles",
  meaning: "DynamoDB throttled reads or writes of the conversations' table.",
  queries: [
    { id: "reads", metric: aws("AWS/DynamoDB", "ReadThrottleEvents", table), stat: "Sum" },
    { id: "writes", metric: aws("AWS/DynamoDB", "WriteThrottleEvents", table), stat: "Sum" },
    { id: "throttled", expression: "FILL(reads, 0) + FILL(writes, 0)" },
  ],
  threshold: 0,
  periodS: 300,
  datapoints: 1,
  periods: 1,
});
