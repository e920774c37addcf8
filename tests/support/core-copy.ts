import { appendFile, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A copy of core's sources where its dependencies still resolve, to be changed and then imported. */
export async function copyCore() {
  // Git and the linter do not look in there.
  await mkdir(join(ROOT, ".local"), { recursive: true });
  const folder = await mkdtemp(join(ROOT, ".local/core-copy-"));
  const source = join(folder, "src");
  await cp(join(ROOT, "packages/core/src"), source, { recursive: true });
  return {
    folder,
    /** @throws when the file is there already */
    addFile: (path: string, text: string) => writeFile(join(source, path), text, { flag: "wx" }),
    addLine: (path: string, line: string) => appendFile(join(source, path), `${line}\n`),
    import: (path: string) => import(/* @vite-ignore */ pathToFileURL(join(source, path)).href),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
