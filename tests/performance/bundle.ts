import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { routes } from "@parley/functions/api/routes";
import { build } from "esbuild";

const SOURCE = fileURLToPath(new URL("../../packages/functions/src/", import.meta.url));

/** SST gives its bundles the same names, for CommonJS inside. */
const BANNER =
  "import { createRequire as topLevelCreateRequire } from 'node:module'; const require = topLevelCreateRequire(import.meta.url); import { fileURLToPath as topLevelFileUrlToPath, URL as topLevelURL } from 'node:url'; const __filename = topLevelFileUrlToPath(import.meta.url); const __dirname = topLevelFileUrlToPath(new topLevelURL('.', import.meta.url));";

export type Bundle = { name: string; file: string; totalBytes: number; staticBytes: number };

/** The handlers as they are deployed: ESM, minified, split. One folder each; the first is a handler that does nothing. */
export async function bundleHandlers(outdir: string): Promise<Bundle[]> {
  await rm(outdir, { recursive: true, force: true });
  const bare = join(outdir, "bare", "index.mjs");
  await mkdir(dirname(bare), { recursive: true });
  await writeFile(bare, "export const handler = async () => ({ statusCode: 200, body: '{}' });\n");
  const size = (await stat(bare)).size;
  const bundles: Bundle[] = [{ name: "bare", file: bare, totalBytes: size, staticBytes: size }];
  const handlers = new Map(routes.map(({ name, entry }) => [name, entry]));
  for (const [name, entry] of handlers) bundles.push(await bundle(name, entry, join(outdir, name)));
  return bundles;
}

async function bundle(name: string, entry: string, outdir: string): Promise<Bundle> {
  const { metafile } = await build({
    entryPoints: { index: join(SOURCE, entry) },
    outdir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "es2024",
    mainFields: ["module", "main"],
    minify: true,
    splitting: true,
    metafile: true,
    banner: { js: BANNER },
    logLevel: "error",
  });
  const outputs = new Map(Object.entries(metafile.outputs));
  const entryFile = [...outputs.keys()].find(
    (path) => outputs.get(path)?.entryPoint !== undefined && path.endsWith("/index.mjs"),
  );
  if (entryFile === undefined) throw new Error(`esbuild made no entry for ${name}`);
  const seen = new Set<string>();
  const visit = (path: string) => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const { path: next, kind } of outputs.get(path)?.imports ?? []) {
      if (kind === "import-statement" && outputs.has(next)) visit(next);
    }
  };
  visit(entryFile);
  const bytesOf = (paths: Iterable<string>) =>
    [...paths].reduce((sum, path) => sum + (outputs.get(path)?.bytes ?? 0), 0);
  return {
    name,
    file: join(outdir, "index.mjs"),
    totalBytes: bytesOf(outputs.keys()),
    staticBytes: bytesOf(seen),
  };
}
