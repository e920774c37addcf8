// A process that asks an HTTP service at the rate that its parent says, whether or not the answers keep up, and reports
// how long each took.
import { Agent, request } from "node:http";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

type Post = { url: string; headers: Record<string, string>; body: string };
export type Load = { perSecond: number; requests: Post[] };
export type Sample = { status: number; ms: number };

const agent = new Agent({ keepAlive: true });

process.on("message", async ({ perSecond, requests }: Load) => {
  const startedAt = performance.now();
  const samples = requests.map(async (post, at) => {
    const dueAt = startedAt + (at * 1_000) / perSecond;
    await sleep(Math.max(0, dueAt - performance.now()));
    return send(post);
  });
  process.send?.(await Promise.all(samples));
});
process.send?.("ready");

function send({ url, headers, body }: Post): Promise<Sample> {
  const sentAt = performance.now();
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method: "POST", agent, headers }, (incoming) => {
      const { statusCode: status = 0 } = incoming;
      buffer(incoming).then(() => resolve({ status, ms: performance.now() - sentAt }), reject);
    });
    outgoing.on("error", reject).end(body);
  });
}
