import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type DiffOptions, sstDiff } from "./diff.ts";

/**
 * What `sst diff` of a project's stage built, kept in `folder` for `readGraph`: graph.json, sst-env.d.ts and the functions'
 * archives. @throws with what SST printed when it found something wrong
 */
export async function buildStage(folder: string, options: DiffOptions): Promise<void> {
  const { graph, output, ok } = await sstDiff(options);
  if (!ok) throw new Error(`sst diff of ${options.stage} failed:\n${output}`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "graph.json"), JSON.stringify(graph, null, 2));
  await cp(join(options.root, "sst-env.d.ts"), join(folder, "sst-env.d.ts"));
  for (const { name } of graph.filter(({ type }) => type === "sst:aws:Function")) {
    await cp(join(options.root, ".sst", "artifacts", name, "code.zip"), join(folder, `${name}.zip`));
  }
}
