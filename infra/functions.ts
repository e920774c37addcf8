import { cp } from "node:fs/promises";
import { join } from "node:path";
import { nodejs } from "./bundle.ts";
import { deployment } from "./deployment.ts";
import { namespaceOf } from "./metrics.ts";
import { stageOf } from "./stages.ts";

const stage = stageOf($app.stage);

/** X-Ray knows no narrower resource than all of it. */
const mayTrace = { actions: ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], resources: ["*"] };

/** What a function is given beside its code. */
export type Needs = {
  link?: unknown[];
  permissions?: { actions: string[]; resources: $util.Input<string>[] }[];
  environment?: Record<string, $util.Input<string>>;
  timeout?: `${number} seconds`;
  files?: readonly { from: string; to: string }[];
};

/** One function. `entry` is its handler's module, relative to packages/functions/src/. */
export function lambda(name: string, entry: string, needs: Needs = {}): sst.aws.Function {
  const { link = [], permissions = [], environment = {}, timeout = "10 seconds", files = [] } = needs;
  return new sst.aws.Function(name, {
    handler: `packages/functions/src/${entry.replace(/\.ts$/, ".handler")}`,
    runtime: "nodejs24.x",
    architecture: "arm64",
    // A whole vCPU comes at 1,769 MB; start-up, which is most of what we compute, gains little beyond this.
    memory: "1024 MB",
    timeout,
    logging: { format: "json", retention: stage.logRetention },
    nodejs,
    link,
    permissions: stage.tracing ? [...permissions, mayTrace] : permissions,
    environment: {
      PARLEY_VERSION: deployment.version,
      ...(deployment.modelPrice && { MODEL_PRICE: deployment.modelPrice }),
      POWERTOOLS_METRICS_NAMESPACE: namespaceOf($app.stage),
      POWERTOOLS_TRACE_ENABLED: String(stage.tracing),
      ...stage.settings,
      ...environment,
    },
    transform: { function: { tracingConfig: { mode: stage.tracing ? "Active" : "PassThrough" } } },
    hook: {
      async postbuild(folder) {
        for (const { from, to } of files) await cp(join($cli.paths.root, from), join(folder, to));
      },
    },
  });
}
