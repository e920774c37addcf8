import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";
import { buffer } from "node:stream/consumers";

export type Call = {
  method?: string;
  path: string;
  /** A list is sent as several headers of one name; what `fetch` would refuse or normalise goes out as it is. */
  headers?: OutgoingHttpHeaders;
  body?: string | Uint8Array;
};

export type Answer = { status: number; headers: IncomingHttpHeaders; body: Buffer };

/** One HTTP request with nothing between the test and the wire. */
export function send(url: string, { method = "GET", path, headers = {}, body }: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    const outgoing = request(`${url}${path}`, { method, headers: { ...length, ...headers } }, (incoming) => {
      const { statusCode: status = 0, headers } = incoming;
      buffer(incoming).then((body) => resolve({ status, headers, body }), reject);
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

export type Json = Record<string, unknown>;

/** A call whose body, if any, is JSON. */
export async function sendJson(
  url: string,
  { json, headers, ...call }: Omit<Call, "body"> & { json?: unknown },
) {
  const typed = json === undefined ? {} : { "content-type": "application/json" };
  const answer = await send(url, {
    method: json === undefined ? "GET" : "POST",
    ...call,
    headers: { ...typed, ...headers },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
  return { ...answer, json: (answer.body.length > 0 ? JSON.parse(answer.body.toString()) : {}) as Json };
}
