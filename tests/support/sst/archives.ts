import { createDecipheriv } from "node:crypto";
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { unzipSync } from "fflate";
import type { Graph } from "./graph.ts";

export const archiveOf = ({ folder }: Pick<Graph, "folder">, name: string) => join(folder, `${name}.zip`);

/** A function's archive, unpacked to a new folder, for test files run at the same time; returns the folder. */
export async function unpack(graph: Graph, name: string): Promise<string> {
  const all = join(graph.folder, "unpacked");
  await mkdir(all, { recursive: true });
  const folder = await mkdtemp(join(all, `${name}-`));
  const files = Object.entries(unzipSync(await readFile(archiveOf(graph, name))));
  for (const [path, bytes] of files.filter(([path]) => !path.endsWith("/"))) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, bytes);
  }
  return folder;
}

/** What is linked to a function, as SST encrypted it into the archive: AES-256-GCM, the tag at the end. */
export async function linksOf(graph: Graph, name: string): Promise<Record<string, Record<string, string>>> {
  const { "resource.enc": sealed } = unzipSync(await readFile(archiveOf(graph, name)), {
    filter: (file) => file.name === "resource.enc",
  });
  if (!sealed) throw new Error(`the archive of ${name} has no links`);
  const key = Buffer.from(graph.environment(name)["SST_KEY"] ?? "", "base64");
  const decipher = createDecipheriv("aes-256-gcm", key, Buffer.alloc(12));
  decipher.setAuthTag(sealed.subarray(-16));
  const opened = Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
  return JSON.parse(opened.toString()) as Record<string, Record<string, string>>;
}
