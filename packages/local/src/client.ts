import { randomUUID } from "node:crypto";

/** One person's conversation with the API: every message continues it until `startOver`. */
export type Client = {
  /** The reply. Rejects with AskError, or with the signal's reason. */
  ask(message: string, signal: AbortSignal): Promise<string>;
  startOver(): void;
};

/** A failure to get an answer, in one line for people. */
export class AskError extends Error {
  override readonly name = "AskError";
}

/** Beyond the gateway's own limit on a request, so that its answer is the one that is seen. */
const TIMEOUT_MS = 65_000;

export function createClient(url: string): Client {
  const newChat = () => ({ platform: "cli", user_id: "local", chat_id: randomUUID() });
  let session = newChat();

  async function post(message: string, signal: AbortSignal): Promise<{ status: number; text: string }> {
    const request = {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": randomUUID() },
      body: JSON.stringify({ message, session_metadata: session }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    };
    const exchange = async () => {
      const response = await fetch(`${url}/v1/messages`, request);
      return { status: response.status, text: await response.text() };
    };
    try {
      return await exchange();
    } catch (error) {
      if (request.signal.aborted) throw error;
      // The connection was lost with the turn perhaps begun: the same key makes the second try the same turn.
      return await exchange();
    }
  }

  return {
    async ask(message, signal) {
      try {
        const { status, text } = await post(message, signal);
        return replyOf(status, text);
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        if (error instanceof AskError) throw error;
        throw new AskError(describe(error), { cause: error });
      }
    },
    startOver() {
      session = newChat();
    },
  };
}

function replyOf(status: number, text: string): string {
  const body = parse(text);
  if (status === 200 && typeof body["reply"] === "string") return body["reply"];
  const told = body["msg"] ?? body["message"];
  throw new AskError(
    typeof told === "string" ? told : `the API answered ${status} with something unexpected`,
  );
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function describe(error: unknown): string {
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return `no answer within ${TIMEOUT_MS / 1000} s`;
  }
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return `the connection to the API was lost: ${cause instanceof Error ? cause.message : String(cause)}`;
}
