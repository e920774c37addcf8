// Stands for the `pulumi` program that `sst diff` starts: creates a stack's empty state, and for `preview` evaluates SST's
// genuine components in Pulumi's own mock mode. What they declare is written as JSON to PARLEY_GRAPH_FILE, nothing is
// planned, deployed or validated as a provider would.
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

/** The version that this SST asks for. */
const VERSION = "v3.215.0";
const ACCOUNT = "123456789012";
/** The key by which Pulumi wraps a secret value. */
const SECRET_MARK = "4dabf18193072939515e22adb298388d";

/** SST's configuration changes the current folder. */
const WORKDIR = process.cwd();

type Resource = { type: string; name: string; inputs: Record<string, unknown> };
type NewResource = Resource & { id?: string };

const { positionals, values } = parseArgs({
  args: process.argv.slice(2),
  options: { stack: { type: "string" }, "event-log": { type: "string" } },
  strict: false,
  allowPositionals: true,
});
const [command, subcommand, name = ""] = positionals;
if (command === "version") process.stdout.write(`${VERSION}\n`);
else if (command === "stack" && subcommand === "init") writeState(name, []);
else if (command === "preview") await preview(String(values.stack), String(values["event-log"]));
else if (command !== "stack" && command !== "plugin") {
  throw new Error(`this engine knows no ${process.argv.slice(2).join(" ")}`);
}

function writeState(stack: string, resources: unknown[]): void {
  const [, app = "", stage = ""] = stack.split("/");
  const file = join(WORKDIR, ".pulumi", "stacks", app, `${stage}.json`);
  mkdirSync(dirname(file), { recursive: true });
  const manifest = { time: new Date(0).toISOString(), magic: "", version: "" };
  writeFileSync(file, JSON.stringify({ version: 3, checkpoint: { stack, latest: { manifest, resources } } }));
}

async function preview(stack: string, eventLog: string): Promise<void> {
  const [, app = "", stage = ""] = stack.split("/");
  const main = /^main: *(.+)$/m.exec(readFileSync("Pulumi.yaml", "utf8"))?.[1]?.trim() ?? "";
  const pulumi = createRequire(main)("@pulumi/pulumi");
  const graph: Resource[] = [];
  const failures: string[] = [];
  const fail = (error: unknown) =>
    failures.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  await pulumi.runtime.setMocks({ newResource, call }, app, stage, false);
  process.on("unhandledRejection", fail);
  process.on("uncaughtException", fail);
  process.on("beforeExit", finish);
  let outputs: Record<string, unknown> = {};
  try {
    const result = await pulumi.runtime.runInPulumiStack(
      async () => (await import(pathToFileURL(main).href)).default,
    );
    pulumi.output(result).apply((resolved: Record<string, unknown>) => {
      outputs = resolved;
    });
  } catch (error) {
    fail(error);
  }

  function newResource({ type, name, inputs, id }: NewResource) {
    graph.push({ type, name, inputs: plain(inputs) as Record<string, unknown> });
    return { id: id || `${name}-id`, state: { ...inputs, ...computed(type, name, inputs) } };
  }

  let finished = false;
  function finish(): void {
    if (finished) return;
    finished = true;
    const urn = (type: string, name: string) => `urn:pulumi:${stage}::${app}::${type}::${name}`;
    const root = {
      urn: urn("pulumi:pulumi:Stack", `${app}-${stage}`),
      type: "pulumi:pulumi:Stack",
      custom: false,
      outputs,
    };
    writeState(stack, [root, ...links(graph, urn)]);
    writeFileSync(process.env["PARLEY_GRAPH_FILE"] ?? join(WORKDIR, "graph.json"), JSON.stringify(graph));
    const event = (of: object) =>
      appendFileSync(eventLog, `${JSON.stringify({ sequence: 0, timestamp: 0, ...of })}\n`);
    // SST reads the state as soon as the summary is there.
    for (const message of failures)
      event({ diagnosticEvent: { message, severity: "error", color: "never" } });
    event({
      summaryEvent: { resourceChanges: { create: graph.length }, durationSeconds: 0, maybeCorrupt: false },
    });
    process.exitCode = failures.length > 0 ? 1 : 0;
  }
}

/** Links as SST reads them back from the state, to write sst-env.d.ts. */
function links(graph: readonly Resource[], urn: (type: string, name: string) => string): unknown[] {
  return graph.flatMap(({ type, name, inputs }) => {
    if (type !== "sst:sst:LinkRef") return [];
    const target = name.replace(/LinkRef$/, "");
    const linked = graph.find((one) => one.name === target && one.type.startsWith("sst:"));
    const properties = { type: linked?.type.replaceAll(":", "."), ...(inputs["properties"] as object) };
    return [
      {
        urn: urn(type, name),
        type,
        custom: false,
        outputs: { target, properties, include: inputs["include"] ?? [] },
      },
    ];
  });
}

/** The value without marks: here nothing is secret. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  // An archive: the code is elsewhere, as a file.
  if (Object.getPrototypeOf(value) !== Object.prototype) return undefined;
  if (SECRET_MARK in value && "value" in value) return plain(value.value);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
}

/** What AWS would tell of a resource after creating it, where somebody reads it. Physical names are the logical ones. */
function computed(type: string, name: string, inputs: Record<string, unknown>): Record<string, unknown> {
  const physical = typeof inputs["name"] === "string" ? inputs["name"] : name;
  const arn = (service: string, resource: string) => `arn:aws:${service}:us-east-1:${ACCOUNT}:${resource}`;
  switch (type) {
    case "aws:lambda/function:Function": {
      const own = arn("lambda", `function:${physical}`);
      return {
        name: physical,
        arn: own,
        qualifiedArn: `${own}:1`,
        publish: false,
        version: "1",
        invokeArn: own,
      };
    }
    case "aws:dynamodb/table:Table":
      return { name: physical, arn: arn("dynamodb", `table/${physical}`) };
    case "aws:sqs/queue:Queue": {
      const queue =
        inputs["fifoQueue"] === true && !physical.endsWith(".fifo") ? `${physical}.fifo` : physical;
      const url = `https://sqs.us-east-1.amazonaws.com/${ACCOUNT}/${queue}`;
      return { name: queue, arn: arn("sqs", queue), url };
    }
    case "aws:apigatewayv2/api:Api":
      return {
        apiEndpoint: "https://api.example.com",
        arn: arn("apigateway", `/apis/${name}`),
        executionArn: arn("execute-api", name),
      };
    case "aws:iam/role:Role":
      return { name: physical, arn: `arn:aws:iam::${ACCOUNT}:role/${physical}` };
    case "aws:cloudwatch/logGroup:LogGroup":
      return { name: physical, arn: arn("logs", `log-group:${physical}`) };
    case "aws:sns/topic:Topic":
      return { name: physical, arn: arn("sns", physical) };
    case "random:index/randomBytes:RandomBytes":
      return { base64: Buffer.alloc(Number(inputs["length"]), 7).toString("base64") };
    default:
      return { name: physical, arn: arn(type, name) };
  }
}

function call({
  token,
  inputs,
}: {
  token: string;
  inputs: Record<string, unknown>;
}): Record<string, unknown> {
  switch (token) {
    case "aws:index/getPartition:getPartition":
      return { partition: "aws", dnsSuffix: "amazonaws.com" };
    case "aws:index/getRegion:getRegion":
      return { name: "us-east-1", region: "us-east-1", id: "us-east-1" };
    case "aws:index/getCallerIdentity:getCallerIdentity":
      return { accountId: ACCOUNT };
    case "aws:iam/getPolicyDocument:getPolicyDocument":
      return { ...inputs, json: JSON.stringify(policyDocument(inputs)) };
    default:
      throw new Error(`nobody answers ${token} here`);
  }
}

type Statement = {
  effect?: string;
  actions?: string[];
  resources?: string[];
  principals?: unknown;
  conditions?: unknown;
};

function policyDocument({ statements }: { statements?: Statement[] }) {
  return {
    Version: "2012-10-17",
    Statement: (statements ?? []).map(({ effect, actions, resources, principals, conditions }) => ({
      Effect: effect ?? "Allow",
      Action: actions,
      Resource: resources,
      ...(principals === undefined ? {} : { Principal: principals }),
      ...(conditions === undefined ? {} : { Condition: conditions }),
    })),
  };
}
