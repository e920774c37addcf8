import { Ajv2020 } from "ajv/dist/2020.js";

type Schema = Record<string, unknown>;
type Ref = { $ref: string };
type Content = Record<string, { schema: Schema; example?: unknown }>;
type Header = { required: boolean; schema: Schema };
type Response = { headers?: Record<string, Header | Ref>; content?: Content };
type Parameter = { name: string; in: string; required?: boolean; schema: Schema };
type Operation = {
  operationId: string;
  parameters?: (Parameter | Ref)[];
  requestBody?: { content: Content };
  responses: Record<string, Response | Ref>;
};
export type OpenApi = {
  openapi: string;
  info: { version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { headers: Record<string, Header> };
};

export type Answer = { status: number; headers: Headers; body: Buffer };

/** Reads an OpenAPI document as its clients would: what may be asked, and what comes back. */
export function contractOf(document: OpenApi) {
  const ajv = new Ajv2020({ strict: false, formats: { "date-time": isInstant, binary: true } });

  function resolve<T extends object>(found: T | Ref): T {
    if (!("$ref" in found)) return found;
    const keys = found.$ref.replace("#/", "").split("/");
    return keys.reduce<unknown>((at, key) => (at as Schema)[key], document) as T;
  }

  /** With every reference resolved; `closed`, no object may have a field that is not named. */
  function expand(schema: unknown, closed: boolean): unknown {
    if (Array.isArray(schema)) return schema.map((each) => expand(each, closed));
    if (typeof schema !== "object" || schema === null) return schema;
    const entries = Object.entries(resolve(schema)).map(([key, value]) => [key, expand(value, closed)]);
    const expanded = Object.fromEntries(entries) as Schema;
    return closed && "properties" in expanded ? { additionalProperties: false, ...expanded } : expanded;
  }

  function problems(schema: Schema, value: unknown, closed = false): string[] {
    const validate = ajv.compile(expand(schema, closed) as Schema);
    if (validate(value)) return [];
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath || "/"} ${message}`);
  }

  function operation(method: string, path: string): Operation {
    const found = document.paths[path]?.[method.toLowerCase()];
    if (!found) throw new Error(`${method} ${path} is not documented`);
    return found;
  }

  function parameter(method: string, path: string, place: string, name: string): Parameter | undefined {
    return (operation(method, path).parameters ?? [])
      .map((each) => resolve(each))
      .find((each) => each.in === place && each.name === name);
  }

  return {
    /** `POST /v1/messages 200` and so on, `default` left out. */
    statuses(): string[] {
      return Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.entries(methods).flatMap(([method, { responses }]) =>
          Object.keys(responses)
            .filter((status) => status !== "default")
            .map((status) => `${method.toUpperCase()} ${path} ${status}`),
        ),
      );
    },

    acceptsBody(method: string, path: string, body: unknown): boolean {
      const schema = operation(method, path).requestBody?.content["application/json"]?.schema;
      return schema !== undefined && problems(schema, body).length === 0;
    },

    /** A parameter's value as text, the way it travels. */
    accepts(method: string, path: string, place: "query" | "header" | "path", name: string, text: string) {
      const known = parameter(method, path, place, name);
      if (!known) return false;
      const value = known.schema["type"] === "string" ? text : toNumber(text);
      return problems(known.schema, value).length === 0;
    },

    example(method: string, path: string): unknown {
      return operation(method, path).requestBody?.content["application/json"]?.example;
    },

    /** What the answer has that the document does not allow. */
    problemsOf(method: string, path: string, { status, headers, body }: Answer): string[] {
      const described = operation(method, path).responses[status];
      if (!described) return [`${status} is not documented`];
      const response = resolve(described);
      // As every proto3 message, Twirp's have their empty lists, which REST leaves out: a list's conversations have no messages.
      const closed = !path.startsWith("/twirp/");
      return [...headerProblems(response, headers), ...bodyProblems(response, { headers, body }, closed)];
    },
  };

  function headerProblems({ headers: named = {} }: Response, headers: Headers): string[] {
    const undocumented = Object.keys(document.components.headers)
      .filter((name) => headers.has(name) && !(name in named))
      .map((name) => `header ${name} is not documented`);
    const wrong = Object.entries(named).flatMap(([name, found]) => {
      const { required, schema } = resolve(found);
      const text = headers.get(name);
      if (text === null) return required ? [`header ${name} is missing`] : [];
      const value = schema["type"] === "integer" ? toNumber(text) : text;
      return problems(schema, value).map((problem) => `header ${name}: ${problem}`);
    });
    return [...undocumented, ...wrong];
  }

  function bodyProblems(
    { content }: Response,
    { headers, body }: Pick<Answer, "headers" | "body">,
    closed: boolean,
  ): string[] {
    if (!content) return body.length === 0 ? [] : ["a body that is not documented"];
    const type = (headers.get("content-type") ?? "").replace(/;.*/, "");
    const media = content[type];
    if (!media) return [`content-type ${type} is not documented`];
    const text = body.toString();
    return problems(media.schema, type === "application/json" ? JSON.parse(text) : text, closed);
  }
}

const toNumber = (text: string) => (/^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text);

const isInstant = (text: string) =>
  /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text) && !Number.isNaN(Date.parse(text));
