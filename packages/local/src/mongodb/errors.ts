import type { Document } from "mongodb";

/** MongoDB's own numbers and names; the driver decides by them what it may repeat. */
const NAMES = {
  2: "BadValue",
  9: "FailedToParse",
  26: "NamespaceNotFound",
  27: "IndexNotFound",
  43: "CursorNotFound",
  48: "NamespaceExists",
  59: "CommandNotFound",
  66: "ImmutableField",
  67: "CannotCreateIndex",
  72: "InvalidOptions",
  85: "IndexOptionsConflict",
  86: "IndexKeySpecsConflict",
  112: "WriteConflict",
  189: "PrimarySteppedDown",
  225: "TransactionTooOld",
  251: "NoSuchTransaction",
  263: "OperationNotSupportedInTransaction",
  462: "IngressRequestRateLimitExceeded",
  10334: "BSONObjectTooLarge",
  11000: "DuplicateKey",
} as const;

export type ErrorNumber = keyof typeof NAMES;

/** An error as MongoDB sends it: `details` are fields beside the message, such as a duplicate key. */
export class MongoServerFault extends Error {
  readonly code: ErrorNumber;
  readonly labels: readonly string[];
  readonly details: Document;

  constructor(
    code: ErrorNumber,
    message: string,
    { labels = [], details = {} }: { labels?: readonly string[]; details?: Document } = {},
  ) {
    super(message);
    this.code = code;
    this.labels = labels;
    this.details = details;
  }

  reply(): Document {
    return {
      ok: 0,
      errmsg: this.message,
      code: this.code,
      codeName: NAMES[this.code],
      ...this.details,
      ...(this.labels.length > 0 && { errorLabels: this.labels }),
    };
  }

  /** As one of many writes that a command asks for. */
  writeError(index: number): Document {
    return { index, code: this.code, errmsg: this.message, ...this.details };
  }
}

export const writeConflict = () =>
  new MongoServerFault(
    112,
    "Caused by :: Write conflict during plan execution and yielding is disabled. :: Please retry your operation or multi-document transaction.",
    { labels: ["TransientTransactionError"] },
  );

export const noSuchTransaction = (number: number) =>
  new MongoServerFault(251, `Transaction ${number} has been aborted or was never begun.`, {
    labels: ["TransientTransactionError"],
  });

/** mingo's refusals are of what the client asked for. */
export function toFault(error: unknown): MongoServerFault {
  if (error instanceof MongoServerFault) return error;
  return new MongoServerFault(2, error instanceof Error ? error.message : String(error));
}
