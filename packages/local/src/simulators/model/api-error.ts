import { json, type Reply } from "../http.ts";

/** An error as OpenAI's API reports it: thrown while a request is read, sent as `{ error: { ... } }`. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: string | number | null;
  readonly param: string | null;

  constructor(
    status: number,
    message: string,
    details: { code?: string | number | null; param?: string } = {},
  ) {
    super(message);
    this.status = status;
    this.code = details.code ?? null;
    this.param = details.param ?? null;
  }

  toReply(): Reply {
    const { message, param, code } = this;
    return json(this.status, { error: { message, type: typeOf(this.status, code), param, code } });
  }
}

function typeOf(status: number, code: string | number | null): string {
  if (code === "insufficient_quota") return "insufficient_quota";
  if (status === 429) return "requests";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

/** The code that OpenAI sends with a status when nothing more is known. */
export function usualCode(status: number): string | null {
  const codes: Record<number, string> = {
    401: "invalid_api_key",
    404: "model_not_found",
    429: "rate_limit_exceeded",
  };
  return codes[status] ?? null;
}

export function modelNotFound(model: string): ApiError {
  return new ApiError(404, `The model \`${model}\` does not exist or you do not have access to it.`, {
    code: "model_not_found",
  });
}

export function missing(param: string): ApiError {
  return new ApiError(400, `Missing required parameter: '${param}'.`, {
    param,
    code: "missing_required_parameter",
  });
}

export function invalidType(param: string, expected: string, value: unknown): ApiError {
  const got = value === null ? "null" : Array.isArray(value) ? "an array" : `a ${typeof value}`;
  return new ApiError(400, `Invalid type for '${param}': expected ${expected}, but got ${got} instead.`, {
    param,
    code: "invalid_type",
  });
}

export function emptyArray(param: string): ApiError {
  return new ApiError(
    400,
    `Invalid '${param}': empty array. Expected an array with minimum length 1, but got an empty array instead.`,
    { param, code: "empty_array" },
  );
}

export function unsupported(param: string, message: string): ApiError {
  return new ApiError(400, message, { param, code: "unsupported_value" });
}
