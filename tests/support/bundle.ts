import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";
import { nodejs } from "../../infra/bundle.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What SST puts before every bundle, for CommonJS inside. */
const BANNER = [
  "import { createRequire as topLevelCreateRequire } from 'module';",
  "const require = topLevelCreateRequire(import.meta.url);",
  'import { fileURLToPath as topLevelFileUrlToPath, URL as topLevelURL } from "url"',
  "const __filename = topLevelFileUrlToPath(import.meta.url)",
  'const __dirname = topLevelFileUrlToPath(new topLevelURL(".", import.meta.url))',
].join("\n");

/** The entry of a bundle, within its folder. */
export const ENTRY = "bundle.mjs";

/** Bundles a module into `outdir` as SST's command does it by the settings in infra/bundle.ts. */
export async function bundle(entry: string, outdir: string): Promise<void> {
  const { default: plugins } = (await import(pathToFileURL(join(ROOT, nodejs.plugins)).href)) as {
    default: Plugin[];
  };
  const { format, minify, splitting, esbuild } = nodejs;
  await rm(outdir, { recursive: true, force: true });
  await build({
    ...esbuild,
    format,
    minify,
    splitting,
    plugins,
    entryPoints: [join(ROOT, entry)],
    outdir,
    entryNames: "bundle",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    external: ["sharp", "pg-native"],
    banner: { js: BANNER },
    logLevel: "error",
  });
}

export type Sizes = {
  /** Read before the handler is there: the entry and whatever it imports statically. */
  staticBytes: number;
  /** The same where tracing is on. */
  tracedBytes: number;
  /** All code, whenever it is loaded. */
  totalBytes: number;
};

/** X-Ray's SDK, and Powertools' middleware for it. */
const TRACER = /AWS_XRAY_DAEMON_ADDRESS|annotateColdStart/;

/** The sizes of the bundle in a folder, whoever made it, in bytes of its minified code. */
export async function sizesOf(folder: string): Promise<Sizes> {
  const { metafile } = await build({
    entryPoints: [join(folder, ENTRY)],
    absWorkingDir: folder,
    bundle: true,
    format: "esm",
    platform: "node",
    splitting: true,
    outdir: "unused",
    write: false,
    metafile: true,
    logLevel: "error",
  });
  const files = metafile.inputs;
  const reach = (path: string, seen = new Set<string>()): Set<string> => {
    if (seen.has(path)) return seen;
    seen.add(path);
    for (const { path: next, kind } of files[path]?.imports ?? []) {
      if (kind === "import-statement" && next in files) reach(next, seen);
    }
    return seen;
  };
  const start = reach(ENTRY);
  const traced = new Set(start);
  for (const path of Object.keys(files)) {
    if (TRACER.test(await readFile(join(folder, path), "utf8"))) reach(path, traced);
  }
  const bytesOf = (paths: Iterable<string>) =>
    [...paths].reduce((sum, path) => sum + (files[path]?.bytes ?? 0), 0);
  return {
    staticBytes: bytesOf(start),
    tracedBytes: bytesOf(traced),
    totalBytes: bytesOf(Object.keys(files)),
  };
}
