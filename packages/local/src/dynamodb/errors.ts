import type { Fields } from "../aws-json.ts";

/** An error as DynamoDB sends it: `code` is the SDK's exception name, `details` the fields beside the message. */
export class DynamoError extends Error {
  readonly code: string;
  readonly status: number;
  readonly details: Fields;

  constructor(
    code: string,
    message: string,
    { status = 400, details = {} }: { status?: number; details?: Fields } = {},
  ) {
    super(message);
    this.code = code;
    this.status = status;
    this.details = details;
  }

  body(): Fields {
    return {
      __type: `com.amazonaws.dynamodb.v20120810#${this.code}`,
      message: this.message,
      ...this.details,
    };
  }
}

export function validationError(message: string): DynamoError {
  return new DynamoError("ValidationException", message);
}

/** dynalite's refusals are `{ statusCode, body: { __type: "namespace#Code", message } }`; anything else is a fault of ours. */
export function toDynamoError(error: unknown): DynamoError {
  if (error instanceof DynamoError) return error;
  const { statusCode, body } = error as { statusCode?: number; body?: Record<string, string> };
  if (statusCode === undefined || body?.["__type"] === undefined) {
    return new DynamoError("InternalServerError", String(error), { status: 500 });
  }
  const code = body["__type"].split("#").at(-1) ?? "";
  return new DynamoError(code, body["message"] ?? body["Message"] ?? "", { status: statusCode });
}
