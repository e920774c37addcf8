// A process that owns a Redis backend and does not let go: run by tests that kill it.
import { startRedisBackend } from "../../packages/local/src/upstash/backend.ts";

const { kind, pid, redisUrl } = await startRedisBackend({ engine: "redis-server" });
process.on("SIGINT", () => process.stdout.write("interrupted\n"));
process.stdin.once("data", (how) => {
  if (how.toString().startsWith("exit")) process.exit(0);
  throw new Error("a crash");
});
// Whoever reads this may send either.
process.stdout.write(`${JSON.stringify({ kind, pid, redisUrl })}\n`);
