import { watch } from "node:fs";
import { basename, dirname, join } from "node:path";

/** Absolute paths: single files, which need not exist yet, and folders, watched to any depth. */
export type Watched = { files: readonly string[]; folders: readonly string[] };

const QUIET_MS = 150;

/**
 * The paths that change until `stopped`, gathered until nothing more has changed for 150 ms. In folders only
 * TypeScript counts; an editor's swap files do not.
 */
export async function* changesIn(
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
  const watchers = [
    // An editor replaces a file rather than writing to it, which only a watch on its folder survives.
    ...files.map((file) =>
      watch(dirname(file), (_event, name) => {
        if (name === basename(file)) note(file);
      }),
    ),
    ...folders.map((folder) =>
      watch(folder, { recursive: true }, (_event, name) => {
        if (name?.endsWith(".ts")) note(join(folder, name));
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
