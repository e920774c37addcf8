import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";

const MAX_ANSWER_BYTES = 1024 * 1024;

export type Answer = {
  status: number;
  reason: string;
  /** Seconds; 0 when the answer named none. */
  retryAfter: number;
  contentType: string;
  body: Buffer<ArrayBuffer>;
};

export type Courier = {
  /** Rejects with an Error whose message is what `getWebhookInfo` tells as the last error. */
  post(body: string, timeoutMs: number): Promise<Answer>;
  /** Breaks off what is under way. */
  close(): void;
};

/** Posts updates to one URL over at most `connections` kept-alive connections. Redirects are not followed. */
export function createCourier(url: string, secretToken: string, connections: number): Courier {
  const isSecure = url.startsWith("https:");
  const options = { keepAlive: true, maxSockets: connections };
  const agent = isSecure ? new HttpsAgent(options) : new HttpAgent(options);
  const closing = new AbortController();
  const headers = {
    "content-type": "application/json",
    "accept-encoding": "identity",
    ...(secretToken === "" ? {} : { "x-telegram-bot-api-secret-token": secretToken }),
  };

  function post(body: string, timeoutMs: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = (isSecure ? httpsRequest : httpRequest)(url, {
        method: "POST",
        agent,
        signal: closing.signal,
        headers: { ...headers, "content-length": Buffer.byteLength(body) },
      });
      const timer = setTimeout(() => request.destroy(new Error("Read timeout expired")), timeoutMs);
      const fail = (error: Error) => {
        clearTimeout(timer);
        reject(new Error(reasonOf(error), { cause: error }));
      };
      request.on("error", fail);
      request.on("response", (response) => {
        readAnswer(response)
          .then(resolve, fail)
          .finally(() => clearTimeout(timer));
      });
      request.end(body);
    });
  }

  return {
    post,
    close() {
      closing.abort();
      agent.destroy();
    },
  };
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_ANSWER_BYTES) chunks.push(chunk);
  }
  const retryAfter = Number(response.headers["retry-after"] ?? 0);
  return {
    status: response.statusCode ?? 0,
    reason: response.statusMessage ?? "",
    retryAfter: Number.isInteger(retryAfter) ? retryAfter : 0,
    contentType: response.headers["content-type"] ?? "",
    body: Buffer.concat(chunks),
  };
}

function reasonOf(error: Error): string {
  const code = "code" in error ? error.code : undefined;
  if (code === "ECONNREFUSED") return "Connection refused";
  if (code === "ECONNRESET" || code === "EPIPE") return "Webhook connection closed";
  return error.message;
}
