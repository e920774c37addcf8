/** Every error code that the product answers with (Twirp's), and its HTTP status. */
export const httpStatus = {
  canceled: 408,
  unknown: 500,
  invalid_argument: 400,
  malformed: 400,
  deadline_exceeded: 408,
  not_found: 404,
  bad_route: 404,
  already_exists: 409,
  permission_denied: 403,
  unauthenticated: 401,
  resource_exhausted: 429,
  failed_precondition: 412,
  aborted: 409,
  out_of_range: 400,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  dataloss: 500,
} as const;

export type ErrorCode = keyof typeof httpStatus;

/** Short machine-readable facts for the client: the field or setting, seconds to wait. Strings only, as Twirp has it. */
export type ErrorMeta = Readonly<Record<string, string>>;

/**
 * The one error of the product. `message` and `meta` are shown to the client; `cause` goes to the log only.
 * `meta.retry_after` is in whole seconds and becomes the `retry-after` header.
 */
export class AppError extends Error {
  override readonly name = "AppError";
  readonly code: ErrorCode;
  readonly meta: ErrorMeta;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; meta?: ErrorMeta } = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.meta = options.meta ?? {};
  }
}

export const isAppError = (error: unknown, code?: ErrorCode): error is AppError =>
  error instanceof AppError && (code === undefined || error.code === code);

/** Anything thrown, as an AppError; what is not one already tells the client nothing of its inside. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError(
    "internal",
    "Something went wrong on our side. The request id helps us find out what.",
    {
      cause: error,
    },
  );
}
