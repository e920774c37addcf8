export interface RestAnswer {
  status: number;
  headers: Headers;
  /** The body as sent: JSON.parse would round large integers. */
  text: string;
  /** `{ result } | { error }`, or an array of them. */
  json: unknown;
}

export interface RestRequest {
  path?: string;
  method?: string;
  headers?: Record<string, string>;
  /** A string goes out as it is, anything else as JSON. */
  body?: unknown;
}

export type RestClient = ReturnType<typeof restClient>;

/** Plain HTTP against an Upstash REST endpoint, with nothing between the test and the wire. */
export function restClient(endpoint: { url: string; token: string }) {
  const authorization = `Bearer ${endpoint.token}`;

  async function request({
    path = "/",
    method = "POST",
    headers = {},
    body,
  }: RestRequest): Promise<RestAnswer> {
    const payload = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
    const response = await fetch(endpoint.url + path, {
      method,
      headers: { authorization, ...headers },
      ...(payload === undefined ? {} : { body: payload }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: text === "" ? undefined : JSON.parse(text),
    };
  }

  return {
    request,
    /** One command: `{ status, json: { result } | { error } }`. */
    command: (...command: unknown[]) => request({ body: command }),
    /** One command's result; throws its error. */
    async result(...command: unknown[]): Promise<unknown> {
      const { json } = await request({ body: command });
      const { result, error } = json as { result?: unknown; error?: string };
      if (error !== undefined) throw new Error(error);
      return result;
    },
    pipeline: (commands: unknown[][], headers = {}) =>
      request({ path: "/pipeline", headers, body: commands }),
    transaction: (commands: unknown[][], headers = {}) =>
      request({ path: "/multi-exec", headers, body: commands }),
  };
}
