import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** What is deployed, and what says how. */
const SOURCES = ["sst.config.ts", "infra", "packages", "package.json", "tsconfig.json", "sst-env.d.ts"];

export type ProductCopy = {
  root: string;
  /** Replaces a text that must be there once. */
  edit(file: string, from: string, to: string): Promise<void>;
  remove(): Promise<void>;
};

/** A copy of the product that a test may spoil, in a temporary folder: its own sources, the installed packages by links. */
export async function copyProduct(): Promise<ProductCopy> {
  const root = await mkdtemp(join(tmpdir(), "parley-project-"));
  await Promise.all(SOURCES.map((name) => cp(join(ROOT, name), join(root, name), { recursive: true })));
  await linkEach(join(ROOT, "node_modules"), join(root, "node_modules"), new Set(["@parley"]));
  // The copy's own, and not those of this repository.
  const own = join(root, "node_modules", "@parley");
  await mkdir(own);
  for (const name of await readdir(join(root, "packages"))) {
    await symlink(join(root, "packages", name), join(own, name));
  }
  return {
    root,
    async edit(file, from, to) {
      const path = join(root, file);
      const before = await readFile(path, "utf8");
      if (before.split(from).length !== 2) throw new Error(`${file} does not say once: ${from}`);
      await writeFile(
        path,
        before.replace(from, () => to),
      );
    },
    remove: () => rm(root, { recursive: true, force: true }),
  };
}

async function linkEach(from: string, to: string, except: ReadonlySet<string>): Promise<void> {
  await mkdir(to);
  const names = await readdir(from);
  await Promise.all(
    names.filter((name) => !except.has(name)).map((name) => symlink(join(from, name), join(to, name))),
  );
}
