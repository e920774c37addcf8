/** A RESP2 reply. A `string` is an integer's digits, a `Buffer` any kind of Redis string. */
export type Reply = Buffer | string | null | Error | Reply[];

/** How `Upstash-Encoding` wants strings: every one at every depth, but never an error or the plain "OK". */
export type Encoding = "utf8" | "base64";

/** One command's answer as JSON: `{"result":...}` or `{"error":"..."}`. */
export function renderReply(reply: Reply, encoding: Encoding): string {
  if (reply instanceof Error) return renderError(reply.message);
  const isOk = Buffer.isBuffer(reply) && reply.length === 2 && reply.toString() === "OK";
  return `{"result":${isOk ? '"OK"' : renderValue(reply, encoding)}}`;
}

export function renderError(message: string): string {
  return JSON.stringify({ error: message });
}

// Integers go out digit by digit: Upstash sends all 64 bits and leaves rounding to the client.
function renderValue(reply: Reply, encoding: Encoding): string {
  if (reply === null) return "null";
  if (typeof reply === "string") return reply;
  if (Buffer.isBuffer(reply)) return JSON.stringify(reply.toString(encoding));
  if (reply instanceof Error) return JSON.stringify(reply.message);
  return `[${reply.map((item) => renderValue(item, encoding)).join(",")}]`;
}
