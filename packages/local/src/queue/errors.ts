import type { FaultKind } from "../faults.ts";
import { SqsError } from "./fauxqs.ts";

/** What a fault is answered with, none if it breaks the connection. */
export function faultError(kind: FaultKind | undefined): Error | undefined {
  if (kind === "throttle") return new SqsError("RequestThrottled", "The request is throttled");
  if (kind === "error") return internalError("Internal server error");
  return undefined;
}

const internalError = (message: string) => new SqsError("InternalError", message, 500, false);

/** The codes that SQS words with its prefix in the header for older clients. fauxqs does so with all, which hides them. */
const PREFIX = "AWS.SimpleQueueService.";
const PREFIXED = new Set([
  "BatchEntryIdsNotDistinct",
  "BatchRequestTooLong",
  "EmptyBatchRequest",
  "InvalidBatchEntryId",
  "MessageNotInflight",
  "NonExistentQueue",
  "PurgeQueueInProgress",
  "TooManyEntriesInBatchRequest",
]);

function queryError(header: string): string {
  const [code = "", fault = "Sender"] = header.replace(PREFIX, "").split(";");
  return `${PREFIXED.has(code) ? PREFIX : ""}${code};${fault}`;
}

/** How an error is answered; one that is not SQS's is a fault of ours. */
export function refusal(cause: unknown) {
  const error =
    cause instanceof SqsError ? cause : internalError(cause instanceof Error ? cause.message : String(cause));
  return {
    status: error.statusCode,
    headers: { "x-amzn-query-error": queryError(error.queryErrorHeader) },
    body: error.toJSON(),
  };
}
