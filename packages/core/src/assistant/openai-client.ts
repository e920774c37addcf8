import type OpenAI from "openai";
import type { APIError } from "openai";
import { AppError } from "../error.ts";
import { retryAfterMs } from "../resilience/retry-after.ts";
import { isTransientStatus, UpstreamError } from "../resilience/upstream-error.ts";
import type { ToolCall } from "./chat-model.ts";

/** The settings that name a model: the one to be checked when the provider does not know it. */
export type ModelSetting = "OPENAI_MODEL" | "OPENAI_FALLBACK_MODEL";

export type OpenAIOptions = {
  apiKey: string;
  /** Ends in /v1; OpenAI's own when absent. */
  baseUrl?: string | undefined;
  model: string;
  /** OPENAI_MODEL unless given. */
  setting?: ModelSetting | undefined;
  /** Sent only when set: not every server and model knows it. */
  reasoningEffort?: string | undefined;
  /** Of one answer, its reasoning included; the server's own limit when absent. */
  maxOutputTokens?: number | undefined;
};

/** The `openai` package with its own retries off, and its errors in our words. Both drivers share it. */
export class OpenAIClient {
  readonly #options: OpenAIOptions;
  readonly #api: "chat" | "responses";
  #client: Promise<OpenAI> | undefined;

  constructor(api: "chat" | "responses", options: OpenAIOptions) {
    this.#api = api;
    this.#options = options;
  }

  /** @throws AppError, UpstreamError */
  async use<T>(work: (client: OpenAI) => Promise<T>): Promise<T> {
    this.#client ??= this.#connect();
    const client = await this.#client;
    try {
      return await work(client);
    } catch (error) {
      throw this.#toError(error);
    }
  }

  // Loaded with the first call: the package is a third of the bundle, and listing conversations does not need it.
  async #connect(): Promise<OpenAI> {
    const { OpenAI: Client } = await import("openai/client");
    return new Client({
      apiKey: this.#options.apiKey,
      baseURL: this.#options.baseUrl ?? null,
      maxRetries: 0,
      // Time limits are the caller's signals.
      timeout: 10 * 60_000,
      // Its log holds messages.
      logLevel: "off",
    });
  }

  /** By code and status, never by message. What was not an HTTP answer is a network failure: a cut, a time-out. */
  #toError(thrown: unknown): Error {
    if (thrown instanceof AppError || thrown instanceof UpstreamError) return thrown;
    const { status, code, headers } = (thrown ?? {}) as Partial<APIError>;
    const cause = forTheLog(thrown);
    if (status === undefined)
      return new UpstreamError("the model's connection failed", { transient: true, cause });
    if (code === "insufficient_quota") {
      return new AppError("resource_exhausted", "The OpenAI account has no quota left: check its billing.", {
        cause,
      });
    }
    if (code === "context_length_exceeded" || status === 413) {
      return new AppError(
        "out_of_range",
        "The conversation is too long for the model: lower MAX_CONTEXT_TOKENS.",
        { cause, meta: { setting: "MAX_CONTEXT_TOKENS" } },
      );
    }
    // Responses says it with 400, Chat Completions with 404, and either with 403 to a project that may not use it.
    if (code === "model_not_found" || (status === 404 && this.#api === "chat")) {
      const { model, setting = "OPENAI_MODEL" } = this.#options;
      return wrongSetting(setting, `The model ${JSON.stringify(model)} does not exist or is gone`, cause);
    }
    if (status === 404) {
      return wrongSetting("OPENAI_API", "The server at OPENAI_BASE_URL does not speak Responses", cause);
    }
    if (status === 401 || status === 403)
      return wrongSetting("OPENAI_API_KEY", "The model's provider refused the key", cause);
    // 409 is OpenAI's own lock.
    if (isTransientStatus(status) || status === 409) {
      return new UpstreamError(`the model's provider answered ${status}`, {
        transient: true,
        retryAfterMs: retryAfterMs(headers?.get("retry-after"), Date.now()),
        status,
        cause,
      });
    }
    return new AppError("internal", "The model's provider refused the request.", { cause });
  }
}

/** The provider's words may quote the prompt, and what users write stays out of the log. */
function forTheLog(thrown: unknown): Error {
  if (!(thrown instanceof Error)) return new Error("the client threw no error");
  const { status, code, requestID } = thrown as Partial<APIError>;
  if (status === undefined)
    return new Error(thrown.name, { cause: (thrown.cause as { code?: string } | undefined)?.code });
  return new Error(`${thrown.name}: ${[status, code, requestID].filter(Boolean).join(" ")}`);
}

const wrongSetting = (setting: string, message: string, cause: unknown) =>
  new AppError("failed_precondition", `${message}: check ${setting}.`, { cause, meta: { setting } });

/** Neither words nor calls; `filtered` when the provider says that it held them back. */
export const noAnswer = (filtered: boolean) =>
  filtered
    ? new AppError(
        "unavailable",
        "The model's provider held the answer back: its content filter. Put the question another way.",
      )
    : new AppError("unavailable", "The model gave an empty answer. Send the message again.", {
        meta: { retry_after: "1" },
      });

export function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** What the model wrote may be no JSON, and many servers refuse to read that in a history. The result says so. */
export const readable = (call: ToolCall) => (isJsonObject(call.arguments) ? call.arguments : "{}");

const MAX_NAME_LENGTH = 64;

/** Ids that tell the calls of a round apart and names that the API takes back, whatever the server sent. */
export function toToolCalls(calls: readonly { id: string; name: string; arguments: string }[]): ToolCall[] {
  const ids = new Set(calls.map(({ id }) => id));
  const usable = ids.size === calls.length && calls.every(({ id }) => id && id.length <= MAX_NAME_LENGTH);
  return calls.map(({ id, name, arguments: args }, index) => ({
    type: "tool_call",
    id: usable ? id : `call_${index}`,
    name: name.replace(/[^\w-]/g, "_").slice(0, MAX_NAME_LENGTH) || "_",
    arguments: (typeof args === "string" ? args : JSON.stringify(args)) || "{}",
  }));
}
