import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

export type LogFile = { path: string; write(entry: object): void; close(): Promise<void> };

const MAX_BYTES = 10 * 1024 * 1024;

/** The functions' logs as JSON lines, `parley.log` in the folder; begun anew when it has grown past 10 MB. */
export async function openLogFile(dataDir: string): Promise<LogFile> {
  await mkdir(dataDir, { recursive: true });
  const path = join(dataDir, "parley.log");
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size > MAX_BYTES) await rm(path, { force: true });
  const stream = createWriteStream(path, { flags: "a", mode: 0o600 });
  await once(stream, "open");
  return {
    path,
    write(entry) {
      if (!stream.writableEnded)
        stream.write(`${JSON.stringify({ at: new Date().toISOString(), ...entry })}\n`);
    },
    async close() {
      stream.end();
      await once(stream, "close");
    },
  };
}
