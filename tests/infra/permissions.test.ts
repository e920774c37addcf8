import { describe, expect, test } from "vitest";
import { linksOf } from "../support/sst/archives.ts";
import { SECRETS } from "../support/sst/diff.ts";
import { stageGraph } from "../support/sst/stages.ts";

const graph = stageGraph("production");

const EDGE = ["ApiKeys", "Conversations", "UpstashRedisRestToken", "UpstashRedisRestUrl"];
const TURN = [...EDGE, "OpenAiApiKey", "OpenMeteoApiKey", "WeatherApiKey"].sort();
const REDIS = ["UpstashRedisRestToken", "UpstashRedisRestUrl"];

/** What is linked to each function, and nothing else. */
const LINKS: Readonly<Record<string, string[]>> = {
  StartConversation: TURN,
  ContinueConversation: TURN,
  ListConversations: EDGE,
  DescribeConversation: EDGE,
  DeleteConversation: EDGE,
  ExportConversation: EDGE,
  TelegramWebhook: [...REDIS, "TelegramBots", "TelegramUpdates", "TelegramWebhookSecret"].sort(),
  TelegramWorker: [
    "Conversations",
    "OpenAiApiKey",
    "TelegramBots",
    "TelegramUpdates",
    ...REDIS,
    "OpenMeteoApiKey",
    "WeatherApiKey",
  ].sort(),
  Health: ["Conversations", ...REDIS],
  Docs: [],
  Fallback: [],
};

/** What each function may do, and on what: `table`, `index` and `queue` stand for our own. */
const ANSWER = ["Query", "GetItem", "PutItem", "UpdateItem"].map((name) => `dynamodb:${name} table`);
const POLICIES: Readonly<Record<string, string[]>> = {
  StartConversation: ANSWER,
  ContinueConversation: ANSWER,
  ListConversations: ["dynamodb:Query index"],
  DescribeConversation: ["dynamodb:Query table"],
  DeleteConversation: ["dynamodb:Query table", "dynamodb:UpdateItem table", "dynamodb:DeleteItem table"],
  ExportConversation: ["dynamodb:Query table"],
  TelegramWebhook: ["sqs:SendMessage queue"],
  TelegramWorker: [
    ...ANSWER,
    "sqs:ReceiveMessage queue",
    "sqs:DeleteMessage queue",
    "sqs:ChangeMessageVisibility queue",
    "sqs:GetQueueAttributes queue",
  ],
  Health: ["dynamodb:GetItem table"],
  Docs: [],
  Fallback: [],
};
const TRACE = ["xray:PutTraceSegments *", "xray:PutTelemetryRecords *"];

const table = `arn:aws:dynamodb:us-east-1:123456789012:table/${graph.one("aws:dynamodb/table:Table").inputs["name"]}`;
const { name: queueName } = graph.one("aws:sqs/queue:Queue", "TelegramUpdatesQueue").inputs;
const KNOWN: Readonly<Record<string, string>> = {
  [table]: "table",
  [`${table}/index/by-owner`]: "index",
  [`arn:aws:sqs:us-east-1:123456789012:${queueName}`]: "queue",
};

describe.each(graph.functions)("%s", (name) => {
  const statements = graph.policy(name);

  test("may do what it does, and X-Ray's, which knows no resources", () => {
    const allowed = statements.flatMap(({ Effect, Action, Resource }) => {
      expect(Effect).toBe("Allow");
      return Resource.flatMap((one) => Action.map((action) => `${action} ${KNOWN[one] ?? one}`));
    });
    expect(allowed.sort()).toEqual([...(POLICIES[name] ?? []), ...TRACE].sort());
  });

  test("has no wildcard in what it may do", () => {
    expect(statements.flatMap(({ Action }) => Action).filter((action) => action.includes("*"))).toEqual([]);
    const wide = statements.filter(({ Resource }) => Resource.some((one) => one.includes("*")));
    expect(wide.flatMap(({ Action }) => Action).filter((action) => !action.startsWith("xray:"))).toEqual([]);
  });

  test("has no role beside that but the one that writes logs", () => {
    expect(graph.one("aws:iam/role:Role", `${name}Role`).inputs["managedPolicyArns"]).toEqual([
      "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
    ]);
  });

  test("is linked to what it needs, and to no other secret", async () => {
    const { App: _app, ...links } = await linksOf(graph, name);
    expect(Object.keys(links).sort()).toEqual(LINKS[name]);
  });

  test("has no secret in its environment", () => {
    const environment = JSON.stringify(graph.environment(name));
    for (const secret of Object.values(SECRETS)) expect(environment).not.toContain(secret);
  });
});

test("secrets arrive as they were set", async () => {
  const links = await linksOf(graph, "StartConversation");
  expect(links["OpenAiApiKey"]).toMatchObject({ value: SECRETS.OpenAiApiKey });
  expect(links["UpstashRedisRestToken"]).toMatchObject({ value: SECRETS.UpstashRedisRestToken });
});
