import { cp, readdir, readFile, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { deflateRawSync } from "node:zlib";
import { routes } from "@parley/functions/api/routes";
import { build, type Plugin } from "esbuild";
import { extraFiles, nodejs } from "../../infra/bundle.ts";

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

/** Every function that is deployed, by its name; its handler's module, relative to the root. */
export const functionEntries: ReadonlyMap<string, string> = new Map(
  [...routes, { name: "telegram-worker", entry: "telegram/worker.ts" }].map(({ name, entry }) => [
    name,
    `packages/functions/src/${entry}`,
  ]),
);

/** A function's archive, unpacked. */
export type BuiltFunction = { name: string; folder: string };

/** All functions, each in a folder of its own under `outdir`. */
export async function buildFunctions(outdir: string): Promise<BuiltFunction[]> {
  const built: BuiltFunction[] = [];
  for (const [name, entry] of functionEntries) {
    const folder = join(outdir, name);
    await bundle(entry, folder);
    for (const { from, to } of extraFiles[name] ?? []) await cp(join(ROOT, from), join(folder, to));
    built.push({ name, folder });
  }
  return built;
}

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

/** In bytes. */
export type Sizes = {
  /** The archive that is uploaded. */
  zipBytes: number;
  /** Minified code that is read before the handler is there: the entry and whatever it imports statically. */
  staticBytes: number;
  /** The same where tracing is on. */
  tracedBytes: number;
  /** All of the code, whenever it is loaded. */
  totalBytes: number;
};

/** X-Ray's SDK, and Powertools' middleware for it. */
const TRACER = /AWS_XRAY_DAEMON_ADDRESS|annotateColdStart/;

/** The sizes of a function, whoever built it. */
export async function sizesOf(folder: string): Promise<Sizes> {
  const files = await filesOf(folder);
  const start = staticClosure(files, [ENTRY]);
  const traced: string[] = [];
  for (const path of files.keys()) {
    if (TRACER.test(await readFile(join(folder, path), "utf8"))) traced.push(path);
  }
  const bytesOf = (paths: Iterable<string>) =>
    [...paths].reduce((sum, path) => sum + (files.get(path)?.bytes ?? 0), 0);
  return {
    zipBytes: await zipBytes(folder),
    staticBytes: bytesOf(start),
    tracedBytes: bytesOf(staticClosure(files, [...start, ...traced])),
    totalBytes: bytesOf(files.keys()),
  };
}

/** The paths, in the folder, of what is loaded before the handler is there. */
export async function startFiles(folder: string): Promise<string[]> {
  return [...staticClosure(await filesOf(folder), [ENTRY])];
}

type Files = ReadonlyMap<string, { bytes: number; imports: { path: string; kind: string }[] }>;

/** The files of a bundle and what each imports, as esbuild reads them back. */
async function filesOf(folder: string): Promise<Files> {
  const { metafile } = await build({
    entryPoints: [ENTRY],
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
  return new Map(Object.entries(metafile.inputs));
}

function staticClosure(files: Files, from: readonly string[]): Set<string> {
  const seen = new Set<string>();
  const visit = (path: string) => {
    const file = files.get(path);
    if (!file || seen.has(path)) return;
    seen.add(path);
    for (const { path: next, kind } of file.imports) if (kind === "import-statement") visit(next);
  };
  from.forEach(visit);
  return seen;
}

/** Headers of a file in an archive, twice its name aside: local, after the data, and in the directory at the end. */
const HEADER_BYTES = 30 + 16 + 46;
const DIRECTORY_END_BYTES = 22;

/** The size of the archive that SST makes of a folder, to the byte: its archiver deflates at the lowest level. */
async function zipBytes(folder: string): Promise<number> {
  let bytes = DIRECTORY_END_BYTES;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const name = Buffer.byteLength(relative(folder, file));
    bytes += HEADER_BYTES + 2 * name + deflateRawSync(await readFile(file), { level: 1 }).length;
  }
  return bytes;
}
