import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  type CreateTableCommandInput,
  DynamoDBClient,
  UpdateTimeToLiveCommand,
} from "@aws-sdk/client-dynamodb";
import { ensureTable } from "@parley/local/dynamodb/ensure-table";
import { startDynamo } from "@parley/local/dynamodb/server";
import { callFunction, createFunction, type FunctionOptions } from "@parley/local/gateway/function";
import { type GatewayLog, startGateway } from "@parley/local/gateway/server";
import { localConfig } from "@parley/local/local-config";
import { startPoller } from "@parley/local/queue/poller";
import { startQueue } from "@parley/local/queue/server";
import { startCalendar } from "@parley/local/simulators/calendar";
import { startModel } from "@parley/local/simulators/model";
import { startOpenMeteo } from "@parley/local/simulators/open-meteo";
import { startWeather } from "@parley/local/simulators/weather";
import { startRedisBackend } from "@parley/local/upstash/backend";
import { startUpstash } from "@parley/local/upstash/server";
import { startTestBotApi } from "../bot-api.ts";
import { startStoreEngine } from "../store-engine.ts";
import { linksOf, unpack } from "./archives.ts";
import { SECRETS } from "./diff.ts";
import type { Graph } from "./graph.ts";
import { startGuard } from "./guard.ts";

const WORKER = "TelegramWorker";

type Links = Awaited<ReturnType<typeof linksOf>>;
type Index = { name: string; hashKey: string; rangeKey: string; projectionType: "ALL" };
type Table = {
  name: string;
  attributes: { name: string; type: "S" | "N" }[];
  hashKey: string;
  rangeKey: string;
  billingMode: "PAY_PER_REQUEST";
  globalSecondaryIndexes: Index[];
  ttl: { attributeName: string; enabled: boolean };
};

const keys = ({ hashKey, rangeKey }: Pick<Index, "hashKey" | "rangeKey">) => [
  { AttributeName: hashKey, KeyType: "HASH" as const },
  { AttributeName: rangeKey, KeyType: "RANGE" as const },
];

/** The table as the graph declares it, for CreateTable. */
export function tableOf(graph: Graph): CreateTableCommandInput & { TableName: string } {
  const table = graph.one("aws:dynamodb/table:Table").inputs as unknown as Table;
  return {
    TableName: table.name,
    BillingMode: table.billingMode,
    AttributeDefinitions: table.attributes.map(({ name, type }) => ({
      AttributeName: name,
      AttributeType: type,
    })),
    KeySchema: keys(table),
    GlobalSecondaryIndexes: table.globalSecondaryIndexes.map((index) => ({
      IndexName: index.name,
      KeySchema: keys(index),
      Projection: { ProjectionType: index.projectionType },
    })),
  };
}

/** Makes the graph's table in a database, with its TTL; DynamoDB itself says what is wrong with it. */
export async function createGraphTable(graph: Graph, url: string): Promise<string> {
  const definition = tableOf(graph);
  await ensureTable(url, definition);
  const { attributeName, enabled } = (graph.one("aws:dynamodb/table:Table").inputs as unknown as Table).ttl;
  const client = new DynamoDBClient(localConfig(url));
  const TimeToLiveSpecification = { AttributeName: attributeName, Enabled: enabled };
  await client.send(
    new UpdateTimeToLiveCommand({ TableName: definition.TableName, TimeToLiveSpecification }),
  );
  client.destroy();
  return definition.TableName;
}

/** By the ending of its file name in the URL. */
const nameOf = (queueUrl: string) => queueUrl.split("/").at(-1) ?? "";

function queuesOf(graph: Graph) {
  const { name, visibilityTimeoutSeconds, fifoQueue, redrivePolicy } = graph.one(
    "aws:sqs/queue:Queue",
    "TelegramUpdatesQueue",
  ).inputs as { name: string; visibilityTimeoutSeconds: number; fifoQueue: boolean; redrivePolicy: string };
  const { deadLetterTargetArn, maxReceiveCount } = JSON.parse(redrivePolicy) as {
    deadLetterTargetArn: string;
    maxReceiveCount: number;
  };
  const dead = deadLetterTargetArn.split(":").at(-1) ?? "";
  const dlq = { name: dead, maxReceiveCount };
  return { updates: { name, fifo: fifoQueue, visibilityTimeoutS: visibilityTimeoutSeconds, dlq }, dead };
}

export type Deployed = Awaited<ReturnType<typeof startDeployed>>;

/**
 * What `sst diff` built, at work: every archive unpacked and behind a gateway with the graph's routes, each function in an
 * environment that is the graph's own, DynamoDB and SQS behind the graph's policies. Only where services are, and where
 * Lambda would unpack to, is said besides: that is what differs between here and AWS.
 */
export async function startDeployed(
  graph: Graph,
  { env: extra = {} }: { env?: Record<string, string> } = {},
) {
  const { updates, dead } = queuesOf(graph);
  const [dynamo, queue, backend, model, weather, openMeteo, calendar, botApi] = await Promise.all([
    startDynamo(),
    startQueue({ queues: [updates] }),
    startRedisBackend(),
    startModel(),
    startWeather(),
    startOpenMeteo(),
    startCalendar(),
    startTestBotApi(),
  ]);
  const upstash = await startUpstash({ backend, token: SECRETS.UpstashRedisRestToken });
  // A deployment without a table keeps conversations in MongoDB.
  const hasTable = graph.all("aws:dynamodb/table:Table").length > 0;
  const mongo = hasTable ? undefined : await startStoreEngine("mongodb");
  if (hasTable) await createGraphTable(graph, dynamo.url);
  // Lambda polls a queue with its function's own role.
  const roleOf = (accessKeyId: string) => (accessKeyId === "local" ? WORKER : accessKeyId);
  const policyOf = (name: string) => graph.policy(name);
  const rewrite = (url: string) => queue.queueUrl(nameOf(url));
  const store = await startGuard({ engine: dynamo.url, roleOf, policyOf });
  const sqs = await startGuard({ engine: queue.url, roleOf, policyOf, rewrite });
  const here = {
    AWS_ENDPOINT_URL_DYNAMODB: store.url,
    AWS_ENDPOINT_URL_SQS: sqs.url,
    ...(mongo && { MONGODB_URI: mongo.url }),
    UPSTASH_REDIS_REST_URL: upstash.url,
    OPENAI_BASE_URL: model.url,
    // As at OpenAI, which is what a deployment talks to unless told otherwise.
    OPENAI_API: "responses",
    WEATHER_API_URL: weather.url,
    OPEN_METEO_URL: openMeteo.url,
    OPEN_METEO_GEOCODING_URL: openMeteo.url,
    HOLIDAY_CALENDAR_LINK: calendar.url,
    TELEGRAM_API_ROOT: botApi.url,
    ...extra,
  };
  const [folders, links] = [new Map<string, string>(), new Map<string, Links>()];
  for (const name of graph.functions) {
    folders.set(name, await unpack(graph, name));
    links.set(name, await linksOf(graph, name));
  }

  /** SQS is reached by the URL of the queue, whatever its endpoint. */
  function queueHere({ TelegramUpdates }: Links = {}): Record<string, string> {
    return TelegramUpdates
      ? { TELEGRAM_QUEUE_URL: `${sqs.url}/${nameOf(TelegramUpdates["url"] ?? "")}` }
      : {};
  }

  /** A function as Lambda would run it. */
  function runs(name: string): Pick<FunctionOptions, "entry" | "taskRoot" | "env" | "timeoutMs"> {
    const folder = folders.get(name) ?? "";
    const fn = graph.fn(name);
    return {
      entry: String(fn["handler"]).replace(/\.handler$/, ".mjs"),
      taskRoot: pathToFileURL(`${folder}/`),
      timeoutMs: Number(fn["timeout"]) * 1_000,
      env: {
        AWS_ACCESS_KEY_ID: name,
        AWS_SECRET_ACCESS_KEY: "local",
        AWS_REGION: "us-east-1",
        ...graph.environment(name),
        ...here,
        ...queueHere(links.get(name)),
        SST_KEY_FILE: join(folder, graph.environment(name)["SST_KEY_FILE"] ?? ""),
      },
    };
  }

  const logs: GatewayLog[] = [];
  const log = (entry: GatewayLog) => void logs.push(entry);
  const routes = Object.entries(graph.routes()).map(([key, name = ""]) => {
    const [method = "", path] = key.split(" ");
    return path === undefined
      ? { method: "ANY", path: key, name, entry: "" }
      : { method, path, name, entry: "" };
  });
  const gateway = await startGateway({
    routes,
    taskRoot: new URL("file:///"),
    env: {},
    log,
    each: ({ name }) => runs(name),
  });
  const worker = createFunction({ name: WORKER, ...runs(WORKER), log });
  const mapping = graph.one("aws:lambda/eventSourceMapping:EventSourceMapping").inputs;
  const poller = await startPoller({
    endpoint: sqs.url,
    queueUrl: `${sqs.url}/${updates.name}`,
    queueArn: queue.queueArn(updates.name),
    invoke: (event) => callFunction(worker, event),
    batchSize: Number(mapping["batchSize"]),
    maxConcurrency: 2,
    reportBatchItemFailures: (mapping["functionResponseTypes"] as string[]).includes(
      "ReportBatchItemFailures",
    ),
    drainMs: 0,
  });
  return {
    graph,
    url: gateway.url,
    model,
    weather,
    openMeteo,
    botApi,
    queue,
    dead,
    poller,
    /** What the policies refused. */
    denied: () => [...store.denied, ...sqs.denied],
    /** `Function: action` of all that was asked for. */
    used: () => new Set([...store.used, ...sqs.used]),
    /** What the functions printed. */
    output: () => logs.flatMap((entry) => (entry.type === "output" ? [entry.line] : [])),
    async close() {
      await Promise.all([poller.close(), worker.close(), gateway.close()]);
      await Promise.all([store.close(), sqs.close(), botApi.close(), queue.close(), upstash.close()]);
      const engines = [dynamo, mongo, model, weather, openMeteo, calendar];
      await Promise.all(engines.map((each) => each?.close()));
      await backend.close();
    },
  };
}
