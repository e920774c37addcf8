import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BOT } from "../bot-api.ts";
import { KEY } from "../deployment.ts";
import { startFakeAws } from "./fake-aws.ts";
import { sst } from "./sst.ts";

/** A resource as the configuration declares it. Types are Pulumi's, such as `aws:sqs/queue:Queue`. */
export type Resource = { type: string; name: string; inputs: Record<string, unknown> };

export type Diff = {
  /** Whether SST found nothing wrong. */
  ok: boolean;
  /** What SST printed. */
  output: string;
  graph: Resource[];
};

/** What a deployment is told with `sst secret set`. */
export const SECRETS = {
  OpenAiApiKey: "sk-secret-of-tests",
  UpstashRedisRestUrl: "https://upstash.example.com",
  UpstashRedisRestToken: "upstash-secret-of-tests",
  ApiKeys: `${KEY.id}:${createHash("sha256").update(KEY.secret).digest("hex")}`,
  WeatherApiKey: "weather-secret-of-tests",
  OpenMeteoApiKey: "open-meteo-secret-of-tests",
  TelegramBots: `${BOT.username}=${BOT.token}`,
  TelegramWebhookSecret: "webhook-secret-of-tests",
};

export type DiffOptions = {
  /** The project's folder. */
  root: string;
  stage: string;
  env?: Record<string, string>;
  secrets?: Readonly<Record<string, string>>;
};

/**
 * The genuine `sst diff` of a stage against a stand-in engine: handlers are bundled, components are evaluated, links and
 * permissions resolved; nothing is compared with what AWS has or would say. One at a time for one project.
 */
export async function sstDiff({ root, stage, env = {}, secrets = SECRETS }: DiffOptions): Promise<Diff> {
  const aws = await startFakeAws();
  const folder = await mkdtemp(join(tmpdir(), "parley-diff-"));
  const graphFile = join(folder, "graph.json");
  await mkdir(join(root, ".sst"), { recursive: true });
  try {
    const { code, stdout, stderr } = await sst(["diff", "--stage", stage], {
      cwd: root,
      env: {
        AWS_ENDPOINT_URL: aws.url,
        PARLEY_GRAPH_FILE: graphFile,
        ...Object.fromEntries(Object.entries(secrets).map(([name, value]) => [`SST_SECRET_${name}`, value])),
        ...env,
      },
    });
    if (aws.unexpected.length > 0) throw new Error(`sst asked AWS for more: ${aws.unexpected.join(", ")}`);
    const graph = existsSync(graphFile) ? (JSON.parse(await readFile(graphFile, "utf8")) as Resource[]) : [];
    return { ok: code === 0 && graph.length > 0, output: stdout + stderr, graph };
  } finally {
    await aws.close();
    await rm(folder, { recursive: true, force: true });
  }
}
