import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetQueueAttributesCommand, SQSClient } from "@aws-sdk/client-sqs";
import { type Datum, dataOf, parseEmf } from "@parley/local/cloudwatch/emf";
import type { GatewayLog } from "@parley/local/gateway/server";
import { startModel } from "@parley/local/simulators/model";
import { startOpenMeteo } from "@parley/local/simulators/open-meteo";
import { startWeather } from "@parley/local/simulators/weather";
import { startStack } from "@parley/local/stack";
import { DEAD_LETTERS, QUEUE } from "@parley/local/telegram-stack";
import { startRedisBackend } from "@parley/local/upstash/backend";
import { startUpstash } from "@parley/local/upstash/server";

/** So that what fails three times is a dead letter in seconds, not minutes. */
const QUEUE_TIME_SCALE = 12;
const LOOK_AT_QUEUES_MS = 1_000;
export const API_ID = "local";
/** What the provider takes when it is well. */
export const USUAL_WEATHER = { delayMs: 70 };

export type Observed = Awaited<ReturnType<typeof startObserved>>;

/** The local stack with engines that can be made to fail, and whatever its functions emit. */
export async function startObserved() {
  const dataDir = await mkdtemp(join(tmpdir(), "parley-dashboard-"));
  const data: Datum[] = [];
  const secret = randomBytes(24).toString("base64url");
  const [model, weather, openMeteo, backend] = await Promise.all([
    startModel({ latencyMs: pace(180, 1.9) }),
    startWeather(),
    startOpenMeteo(),
    startRedisBackend(),
  ]);
  weather.inject(USUAL_WEATHER);
  const redis = await startUpstash({ backend, token: randomBytes(16).toString("hex") });
  const stack = await startStack({
    dataDir,
    telegram: { queueTimeScale: QUEUE_TIME_SCALE },
    log: (entry) => data.push(...dataOfLog(entry)),
    env: {
      API_KEYS: `visitor:${createHash("sha256").update(secret).digest("hex")}`,
      OPENAI_BASE_URL: model.url,
      OPENAI_API_KEY: "simulated",
      WEATHER_API_URL: weather.url,
      WEATHER_API_KEY: "simulated",
      OPEN_METEO_URL: openMeteo.url,
      OPEN_METEO_GEOCODING_URL: openMeteo.url,
      UPSTASH_REDIS_REST_URL: redis.url,
      UPSTASH_REDIS_REST_TOKEN: redis.token,
      CIRCUIT_BREAKER_COOLDOWN_SECONDS: "5",
      RETRY_BASE_DELAY_MS: "150",
      API_RATE_LIMIT_RPS: "8",
      API_RATE_LIMIT_BURST: "16",
      OPENAI_TIMEOUT_MS: "8000",
    },
  });
  const queues = watchQueues(stack.env, data);
  return {
    url: stack.url,
    botApiUrl: stack.botApiUrl ?? "",
    secret,
    model,
    weather,
    openMeteo,
    redis,
    data,
    async close() {
      queues.close();
      await stack.close();
      await Promise.all([model.close(), weather.close(), openMeteo.close(), redis.close()]);
      await backend.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Milliseconds around `median`, most of them within a factor of `spread`; a few far slower, as services are. */
const pace = (median: number, spread: number) => () => {
  const normal = Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  return median * spread ** normal;
};

/** What the functions wrote, and what API Gateway and Lambda would have measured of the same requests. */
function dataOfLog(entry: GatewayLog): Datum[] {
  if (entry.type === "output") {
    const document = parseEmf(entry.line);
    return document ? dataOf(document) : [];
  }
  if (entry.type === "failure")
    return [awsDatum("AWS/Lambda", "Errors", { FunctionName: entry.functionName }, 1)];
  if (entry.type !== "request") return [];
  const { status, durationMs, functionName } = entry;
  const api = (name: string, value: number) => awsDatum("AWS/ApiGateway", name, { ApiId: API_ID }, value);
  return [
    api("Count", 1),
    api("4xx", Number(status >= 400 && status < 500)),
    api("5xx", Number(status >= 500)),
    api("Latency", durationMs),
    ...(functionName ? [awsDatum("AWS/Lambda", "Errors", { FunctionName: functionName }, 0)] : []),
  ];
}

function awsDatum(namespace: string, name: string, dimensions: Record<string, string>, value: number): Datum {
  return { namespace, name, unit: "Count", dimensions, values: [value], at: Date.now() };
}

/** SQS tells its own depth; the age of the oldest message it tells CloudWatch alone. */
function watchQueues(env: Record<string, string>, data: Datum[]) {
  const client = new SQSClient({
    ...(env["AWS_ENDPOINT_URL_SQS"] && { endpoint: env["AWS_ENDPOINT_URL_SQS"] }),
    region: "us-east-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  });
  const url = env["TELEGRAM_QUEUE_URL"] ?? "";
  const NAMES = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"] as const;
  const look = async (queue: string) => {
    const QueueUrl = url.replace(QUEUE, queue);
    const command = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...NAMES] });
    const { Attributes = {} } = await client.send(command);
    for (const name of NAMES) {
      const measured = name === "ApproximateNumberOfMessages" ? `${name}Visible` : name;
      data.push(awsDatum("AWS/SQS", measured, { QueueName: queue }, Number(Attributes[name])));
    }
  };
  const timer = setInterval(() => {
    // The queue is gone only when the run is over.
    Promise.all([look(QUEUE), look(DEAD_LETTERS)]).catch(() => {});
  }, LOOK_AT_QUEUES_MS);
  return {
    close() {
      clearInterval(timer);
      client.destroy();
    },
  };
}
