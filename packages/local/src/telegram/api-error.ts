export type ErrorParameters = { retry_after?: number; migrate_to_chat_id?: number };

/** An answer of the Bot API that is not `ok`. `description` is worded as Telegram's server words it. */
export class BotApiError extends Error {
  override readonly name = "BotApiError";
  readonly code: number;
  readonly description: string;
  readonly parameters: ErrorParameters | undefined;

  constructor(code: number, description: string, parameters?: ErrorParameters) {
    super(`${code} ${description}`);
    this.code = code;
    this.description = description;
    this.parameters = parameters;
  }

  toBody(): string {
    return JSON.stringify({
      ok: false,
      error_code: this.code,
      description: this.description,
      parameters: this.parameters,
    });
  }
}

/** 400, with the first letter of the reason lowered as Telegram does, unless the reason is a constant's name. */
export function badRequest(reason: string, parameters?: ErrorParameters): BotApiError {
  const isConstant = /^.[A-Z_]/.test(reason);
  const text = isConstant ? reason : reason.slice(0, 1).toLowerCase() + reason.slice(1);
  return new BotApiError(400, `Bad Request: ${text}`, parameters);
}

export const forbidden = (reason: string) => new BotApiError(403, `Forbidden: ${reason}`);

export const conflict = (reason: string) => new BotApiError(409, `Conflict: ${reason}`);

export const tooManyRequests = (retryAfter: number) =>
  new BotApiError(429, `Too Many Requests: retry after ${retryAfter}`, { retry_after: retryAfter });
