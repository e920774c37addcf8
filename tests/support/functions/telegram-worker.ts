import type { Context, SQSBatchResponse, SQSEvent } from "aws-lambda";
import { enterFastTime, type FastTime } from "../fast-time.ts";

type Handler = (event: SQSEvent, context: Context) => Promise<SQSBatchResponse>;

const { WORKER_TIME = "", WORKER_TIMEOUT_MS = "" } = process.env;
const time = JSON.parse(WORKER_TIME) as FastTime;
enterFastTime(time);
const worker: { handler: Handler } = await import("../../../packages/functions/src/telegram/worker.ts");

/** The Telegram worker in a time that is not the gateway's. */
export function handler(
  { aheadMs, ...event }: SQSEvent & { aheadMs: number },
  context: Context,
): Promise<SQSBatchResponse> {
  time.aheadMs = aheadMs;
  const endsAt = Date.now() + Number(WORKER_TIMEOUT_MS);
  return worker.handler(event, { ...context, getRemainingTimeInMillis: () => endsAt - Date.now() });
}
