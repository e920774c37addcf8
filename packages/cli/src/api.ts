import { randomUUID } from "node:crypto";

/** The service answered with an error; the message is its own. `body` is the raw response. Exit code 1. */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  readonly body: string;

  constructor(message: string, body: string) {
    super(message);
    this.body = body;
  }
}

/** No answer came. Exit code 3. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

/** A response: the text as it came and, in `json`, the object in it. */
export type Answer = { text: string; json: Record<string, unknown> };

/** Rejects with ServiceError for any status but 2xx, and with UnreachableError. */
export type Api = {
  get(path: string, query?: Record<string, string | undefined>): Promise<Answer>;
  post(path: string, body: object): Promise<Answer>;
};

/** Longer than the longest that a function may run. */
const TIMEOUT_MS = 65_000;

/** `url` may have a path (a stage of API Gateway); `key` is sent as X-API-Key. */
export function createApi({ url, key }: { url: string; key: string | undefined }): Api {
  const base = url.replace(/\/+$/, "");

  async function send(
    path: string,
    init: { method: string; headers?: Record<string, string>; body?: string },
  ) {
    const headers = {
      accept: "application/json",
      ...init.headers,
      ...(key === undefined ? {} : { "x-api-key": key }),
    };
    const attempt = async () => {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const response = await fetch(`${base}${path}`, { ...init, headers, signal });
      return { response, text: await response.text() };
    };
    // Once more when the connection broke: nothing but a GET, or a POST whose key makes it the same turn, is sent.
    const { response, text } = await attempt()
      .catch((error: unknown) => (isTimeout(error) ? Promise.reject(error) : attempt()))
      .catch((error: unknown) =>
        Promise.reject(new UnreachableError(explain(base, error), { cause: error })),
      );
    const json = parse(text);
    if (response.ok && json !== undefined) return { text, json };
    throw new ServiceError(complaint(base, response, json), text);
  }

  return {
    get(path, query = {}) {
      const given = Object.entries(query).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      );
      return send(given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`, { method: "GET" });
    },
    post(path, body) {
      const headers = { "content-type": "application/json", "idempotency-key": randomUUID() };
      return send(path, { method: "POST", headers, body: JSON.stringify(body) });
    },
  };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function complaint(base: string, response: Response, json: Record<string, unknown> | undefined): string {
  const told = json?.["msg"] ?? json?.["message"];
  if (typeof told !== "string") {
    return `${base} answered ${response.status}, and not as Parley does: does API_URL name the right server?`;
  }
  const wait = response.headers.get("retry-after");
  const hint = response.status === 401 ? " (API_KEY holds the key)" : "";
  return `${told}${hint}${wait === null ? "" : ` (try again in ${worded(Number(wait))})`}`;
}

/** A budget's wait is of hours. */
const worded = (seconds: number) =>
  seconds < 120
    ? `${seconds} s`
    : seconds < 7_200
      ? `${Math.ceil(seconds / 60)} min`
      : `${Math.ceil(seconds / 3_600)} h`;

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}

function explain(base: string, error: unknown): string {
  if (isTimeout(error)) return `no answer from ${base} within ${TIMEOUT_MS / 1000} s`;
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const code =
    (cause as NodeJS.ErrnoException).code ?? (cause instanceof Error ? cause.message : String(cause));
  return `cannot reach ${base} (${code}): is the server running (npm run dev), and is API_URL right?`;
}
