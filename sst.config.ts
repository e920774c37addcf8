/// <reference path="./.sst/platform/config.d.ts" />

export default $config({
  async app({ stage }) {
    const { stageOf } = await import("./infra/stages.ts");
    const { removal, protect } = stageOf(stage);
    return { name: "parley", home: "aws", removal, protect, providers: { aws: { version: "7.20.0" } } };
  },
  async run() {
    const { api, functions } = await import("./infra/api.ts");
    const { deadLetters, updates, worker } = await import("./infra/telegram.ts");
    const { tableName } = await import("./infra/storage.ts");
    const { deployment } = await import("./infra/deployment.ts");
    const { observe } = await import("./infra/observability.ts");
    const { stageOf } = await import("./infra/stages.ts");
    observe({
      ...deployment,
      api,
      functions: new Map([...functions, ["telegram-worker", worker]]),
      updates,
      deadLetters,
      tableName,
      model: stageOf($app.stage).settings["OPENAI_MODEL"],
    });
    return { api: api.url };
  },
});
