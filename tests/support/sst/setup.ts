import { buildStage } from "./build.ts";
import { copyProject } from "./project.ts";
import { installPlatform } from "./sst.ts";
import { folderOf, STAGES } from "./stages.ts";

/** Before the tests of the infrastructure: SST's platform, and each stage built into .local/infra/<name>. */
export default async function setup(): Promise<void> {
  await timed("SST's platform", installPlatform());
  const { root, remove } = await copyProject();
  try {
    for (const { name, ...stage } of STAGES) {
      await timed(`sst diff, ${name}`, buildStage(folderOf(name), { root, ...stage }));
    }
  } finally {
    await remove();
  }
}

async function timed(what: string, work: Promise<void>): Promise<void> {
  const startedAt = performance.now();
  await work;
  process.stdout.write(`${what}: ${((performance.now() - startedAt) / 1_000).toFixed(1)} s\n`);
}
