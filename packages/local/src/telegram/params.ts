import { badRequest } from "./api-error.ts";

/**
 * The parameters of a method. As on Telegram's server each is a string, whatever it was in the request: numbers,
 * booleans and objects of a JSON body are their JSON text.
 */
export class Params {
  readonly #values: ReadonlyMap<string, string>;

  constructor(values: Iterable<readonly [string, string]> = []) {
    this.#values = new Map(values);
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Empty when absent. */
  text(name: string): string {
    return this.#values.get(name) ?? "";
  }

  /** What is no integer counts as 0, and what is outside the limits as the nearer of them. */
  integer(name: string, { absent = 0, min = -(2 ** 31), max = 2 ** 31 - 1 } = {}): number {
    const text = this.text(name).trim();
    if (text === "") return absent;
    const value = /^[+-]?\d+/.exec(text)?.[0] ?? "0";
    return Math.min(Math.max(Number(value), min), max);
  }

  boolean(name: string): boolean {
    return ["true", "yes", "1"].includes(this.text(name).trim().toLowerCase());
  }

  /** Undefined when absent. `what` it is to be is told to who sent something that does not parse. */
  json(name: string, what: string): unknown {
    const text = this.text(name);
    if (text === "") return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw badRequest(`Can't parse ${what} JSON object`);
    }
  }
}

/**
 * The parameters in the query and the body: JSON, form-urlencoded or multipart by its content type. As on Telegram's
 * server, a body of another type or one that does not parse is ignored, so that its parameters are missing.
 */
export async function readParams(
  query: URLSearchParams,
  contentType: string,
  body: Buffer<ArrayBuffer>,
): Promise<Params> {
  const type = contentType.toLowerCase();
  if (type.includes("application/json")) return new Params([...query, ...fromJson(body)]);
  if (type.includes("application/x-www-form-urlencoded") || type.includes("multipart/form-data")) {
    return new Params([...query, ...(await fromForm(contentType, body))]);
  }
  return new Params(query);
}

function fromJson(body: Buffer): [string, string][] {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
    return Object.entries(value).map(([name, field]) => [
      name,
      typeof field === "string" ? field : JSON.stringify(field),
    ]);
  } catch {
    return [];
  }
}

/** Uploaded files are left out: no method here takes one. */
async function fromForm(contentType: string, body: Buffer<ArrayBuffer>): Promise<[string, string][]> {
  try {
    const form = await new Response(body, { headers: { "content-type": contentType } }).formData();
    return [...form].filter((entry): entry is [string, string] => typeof entry[1] === "string");
  } catch {
    return [];
  }
}
