/// <reference path="./.sst/platform/config.d.ts" />

export default $config({
  async app({ stage }) {
    const { stageOf } = await import("./infra/stages.ts");
    const { removal, protect } = stageOf(stage);
    return { name: "parley", home: "aws", removal, protect, providers: { aws: { version: "7.20.0" } } };
  },
  async run() {
    const { api } = await import("./infra/api.ts");
    await import("./infra/telegram.ts");
    return { api: api.url };
  },
});
