import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildFunctions, bundle, ENTRY, type Sizes, sizesOf } from "../support/bundle.ts";

export type Bundle = Sizes & { name: string; file: string };

/** A handler that does nothing, and the edge alone. */
export const BARE = "bare";
export const EDGE = "edge";

/** Every function as it is deployed, in a folder of its own; before them a handler that does nothing, and the edge alone. */
export async function bundleHandlers(outdir: string): Promise<Bundle[]> {
  await rm(outdir, { recursive: true, force: true });
  const bare = join(outdir, BARE);
  await mkdir(bare, { recursive: true });
  await writeFile(
    join(bare, ENTRY),
    "export const handler = async () => ({ statusCode: 200, body: '{}' });\n",
  );
  const edge = join(outdir, EDGE);
  await bundle("tests/performance/edge.ts", edge);
  const folders = [
    { name: BARE, folder: bare },
    { name: EDGE, folder: edge },
    ...(await buildFunctions(outdir)),
  ];
  return Promise.all(
    folders.map(async ({ name, folder }) => ({
      name,
      file: join(folder, ENTRY),
      ...(await sizesOf(folder)),
    })),
  );
}

export function fileOf(bundles: readonly Bundle[], name: string): string {
  const found = bundles.find((one) => one.name === name);
  if (!found) throw new Error(`there is no bundle ${name}`);
  return found.file;
}
