import { UpstreamError } from "./resilience/upstream-error.ts";

/** The text of a response's body. @throws UpstreamError when it is over `maxBytes`; the rest is not read */
export async function boundedText(response: Response, maxBytes: number, what: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new UpstreamError(`${what} is over ${maxBytes} bytes`, { transient: false });
    chunks.push(chunk);
  }
  // Unlike Buffer it drops a byte order mark, which is no part of the text.
  return new TextDecoder().decode(Buffer.concat(chunks));
}
