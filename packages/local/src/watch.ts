import { watch } from "node:fs";
import { fileURLToPath } from "node:url";

/** Paths from the root: single files, and folders watched to any depth. */
export type Watched = { files: readonly string[]; folders: readonly string[] };

const QUIET_MS = 150;

/**
 * What changes under the root until `stopped`, as paths from it, gathered until nothing more has changed for 150 ms.
 * In folders only TypeScript counts; an editor's swap files do not.
 */
export async function* changesIn(
  root: URL,
  { files, folders }: Watched,
  stopped: AbortSignal,
): AsyncGenerator<string[], void> {
  const changed = new Set<string>();
  let settled = Promise.withResolvers<void>();
  let timer: NodeJS.Timeout | undefined;
  const note = (path: string) => {
    changed.add(path);
    clearTimeout(timer);
    timer = setTimeout(() => settled.resolve(), QUIET_MS);
  };
  // An editor replaces a file rather than writing to it, which only a watch on its folder survives.
  const watchers = [
    watch(fileURLToPath(root), (_event, name) => {
      if (name !== null && files.includes(name)) note(name);
    }),
    ...folders.map((folder) =>
      watch(fileURLToPath(new URL(folder, root)), { recursive: true }, (_event, name) => {
        if (name?.endsWith(".ts")) note(`${folder}/${name}`);
      }),
    ),
  ];
  for (const watcher of watchers) watcher.on("error", (error) => settled.reject(error));
  const stop = () => settled.resolve();
  stopped.addEventListener("abort", stop);
  try {
    while (!stopped.aborted) {
      await settled.promise;
      settled = Promise.withResolvers();
      const batch = [...changed];
      changed.clear();
      if (batch.length > 0 && !stopped.aborted) yield batch;
    }
  } finally {
    clearTimeout(timer);
    stopped.removeEventListener("abort", stop);
    for (const watcher of watchers) watcher.close();
  }
}
