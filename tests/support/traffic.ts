import { summaryPrompt } from "@parley/core/assistant/prompts";
import type { Rig } from "./rig.ts";

type RecordedBody = { body: string };

/** Whether a request to the model wants a reply; titles and summaries are asked for without tools. */
export const wantsReply = ({ body }: RecordedBody): boolean => "tools" in (JSON.parse(body) as object);

export const wantsSummary = (request: RecordedBody): boolean =>
  !wantsReply(request) && request.body.includes(JSON.stringify(summaryPrompt.text).slice(1, -1));

export const wantsTitle = (request: RecordedBody): boolean => !wantsReply(request) && !wantsSummary(request);

export type Traffic = {
  store: { requests: number; bytes: number; byOperation: Record<string, number> };
  redis: { requests: number; bytes: number };
  model: { requests: number; bytes: number };
  weather: { requests: number };
};

/** Requests and bytes, both directions, as the engines counted them on their sockets while `work` ran. */
export async function trafficOf(rig: Rig, work: () => Promise<unknown>): Promise<Traffic> {
  const read = () => ({
    store: rig.storeEngine.requests(),
    redis: rig.upstash.requests(),
    model: rig.model.total(),
    weather: rig.weather.total(),
  });
  const before = read();
  await work();
  const after = read();
  const operations = Object.entries(after.store.byOperation)
    .map(([name, count]) => [name, count - (before.store.byOperation[name] ?? 0)] as const)
    .filter(([, count]) => count > 0);
  const requests = after.model - before.model;
  const asked = requests > 0 ? rig.model.requests.slice(-requests) : [];
  return {
    store: {
      requests: after.store.count - before.store.count,
      bytes: after.store.bytesIn + after.store.bytesOut - before.store.bytesIn - before.store.bytesOut,
      byOperation: Object.fromEntries(operations),
    },
    redis: {
      requests: after.redis.count - before.redis.count,
      bytes: after.redis.bytesIn + after.redis.bytesOut - before.redis.bytesIn - before.redis.bytesOut,
    },
    model: { requests, bytes: asked.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0) },
    weather: { requests: after.weather - before.weather },
  };
}
