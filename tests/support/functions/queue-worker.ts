import { setTimeout as sleep } from "node:timers/promises";
import type { Context, SQSBatchResponse, SQSEvent } from "aws-lambda";

/** Does what each record's body says on its first receive; on later ones it succeeds. */
export async function handler({ Records }: SQSEvent, context: Context): Promise<SQSBatchResponse> {
  const batchItemFailures = [];
  for (const { body, messageId, attributes } of Records) {
    process.stdout.write(`${body} ${attributes.ApproximateReceiveCount} ${context.functionName}\n`);
    if (attributes.ApproximateReceiveCount !== "1") continue;
    switch (body) {
      case "fail":
        batchItemFailures.push({ itemIdentifier: messageId });
        break;
      case "throw":
        throw new TypeError("thrown on purpose");
      case "exit":
        process.exit(3);
        break;
      case "hang":
        await sleep(60_000);
        break;
      case "spin":
        for (;;);
    }
  }
  return { batchItemFailures };
}
