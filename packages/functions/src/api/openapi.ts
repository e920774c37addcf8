import * as z from "@parley/core/schema";
import * as contract from "./contract.ts";
import { schemaOf } from "./json-schema.ts";
import {
  components,
  failureRefs,
  type HeaderName,
  headerRefs,
  idempotencyKeyRef,
  RATE_LIMIT,
} from "./openapi-components.ts";
import { type Route, routes } from "./routes.ts";

type Operation = {
  summary: string;
  contract: { request: z.ZodMiniType; response?: z.ZodMiniType };
  /** REST's status of success, what then comes back, and in which headers of its own. Twirp's status is 200. */
  success: number;
  answer: string;
  headers?: readonly HeaderName[];
  /** A request to try, where the examples of all fields together would not make one. */
  example?: Readonly<Record<string, unknown>>;
};

const operations: Readonly<Record<string, Operation>> = {
  "start-conversation": {
    summary: "Start a conversation",
    contract: contract.startConversation,
    success: 201,
    answer: "The conversation and the reply to its first message",
    headers: ["location", "idempotent-replayed"],
    example: { message: "What's the weather in Barcelona?" },
  },
  "continue-conversation": {
    summary: "Send the next message of a conversation",
    contract: contract.continueConversation,
    success: 200,
    answer: "The reply",
    headers: ["idempotent-replayed"],
    example: {
      message: "What's the weather in Barcelona?",
      session_metadata: { platform: "api", user_id: "ada", chat_id: "desk" },
    },
  },
  "list-conversations": {
    summary: "List conversations, newest activity first",
    contract: contract.listConversations,
    success: 200,
    answer: "A page of conversations, without their messages",
    example: { page_size: 50 },
  },
  "describe-conversation": {
    summary: "Read a conversation and its messages, oldest first",
    contract: contract.describeConversation,
    success: 200,
    answer: "The conversation and a page of its messages",
  },
  "delete-conversation": {
    summary: "Erase a conversation",
    contract: contract.deleteConversation,
    success: 204,
    answer: "It is gone, and whatever led to it",
  },
  "export-conversation": {
    summary: "Export a whole conversation",
    contract: contract.exportConversation,
    success: 200,
    answer: "The conversation with all of its messages",
    headers: ["content-disposition"],
  },
};

const health = z.object({ status: z.literal("ok"), version: z.string(), region: z.string() });
const dependency = z.object({ ok: z.boolean(), latency_ms: z.number() });
const readiness = z.object({
  status: z.enum(["ok", "degraded", "unavailable"]),
  store: dependency,
  redis: dependency,
});
const page = { "text/html": { schema: { type: "string" } } };

/** What needs no key, by path. */
const services: Readonly<Record<string, unknown>> = {
  "/health": service("health", "Whether the API answers", json(schemaOf(health))),
  "/ready": service("ready", "Whether the services behind it answer", json(schemaOf(readiness)), {
    503: {
      description: "The store does not. Without Redis alone the status is `degraded`, and 200",
      headers: headerRefs(["retry-after"]),
      content: json(schemaOf(readiness)),
    },
  }),
  "/openapi.json": service("openapi", "This document", json({ type: "object" })),
  "/docs": service("docs", "This document as a page", page),
};

const INTRODUCTION = `Durable, ordered, deduplicated conversations with an AI assistant.

- **Keys**: send yours as \`X-API-Key\` or \`Authorization: Bearer\`. It reaches what it created and nothing else.
- **Repeating**: a POST with an \`Idempotency-Key\` is safe to send again: the same key and message get the same answer.
- **Pages**: send \`next_page_token\` back as \`page_token\`; it is empty on the last page.
- **Errors**: each is \`{ code, msg, meta }\`; \`retry-after\` tells how long to wait before another try.
- **Names** are snake_case in answers. Requests may use camelCase as well, and an empty string counts as absent.`;

const TAGS = {
  REST: "JSON over HTTP.",
  Twirp:
    "The same for Twirp clients, in JSON and protobuf. Fields that the service does not know are ignored; answers have every field, empty ones too.",
  Service: "Whether it works and how to use it. No key needed.",
};

/** The API's OpenAPI 3.1 document, generated from the schemas that validate its requests. */
export function openApiDocument(version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const { method, path, name } = route;
    const operation = operations[name];
    const described = operation ? describe(route, operation) : services[path];
    if (described) paths[path] = { ...paths[path], [method.toLowerCase()]: described };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Parley",
      version,
      description: INTRODUCTION,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    security: [{ apiKey: [] }, { bearer: [] }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components,
  };
}

function describe(route: Route, operation: Operation) {
  const { method, path } = route;
  const twirp = path.startsWith("/twirp/");
  const schema = schemaOf(operation.contract.request, { open: twirp }) as ObjectSchema;
  const { conversation_id: id, ...others } = schema.properties;
  // A path says {id} where the contract says conversation_id.
  const byId = path.includes("{id}");
  const takesTurn = operation.contract.response === contract.startConversation.response;
  return {
    ...titlesOf(route, operation, twirp),
    parameters: [
      ...(byId ? [{ name: "id", in: "path", required: true, schema: id }] : []),
      ...(takesTurn ? [idempotencyKeyRef] : []),
      ...(method === "GET" ? Object.entries(others).map(([name, each]) => inQuery(name, each)) : []),
    ],
    ...(method === "POST" && {
      requestBody: {
        required: true,
        content: bodyOf(schema, operation, { byId, twirp }),
      },
    }),
    responses: {
      [twirp ? 200 : operation.success]: successOf(operation, twirp),
      ...failureRefs([400, 401, 408, 429, 503]),
      ...(takesTurn && failureRefs([409])),
      ...((twirp || id !== undefined) && failureRefs([404])),
      ...failureRefs(["default"]),
    },
  };
}

type ObjectSchema = { properties: Record<string, unknown>; required?: string[]; anyOf?: unknown[] };

function titlesOf({ path, name }: Route, { summary }: Operation, twirp: boolean) {
  if (twirp) return { operationId: `twirp-${name}`, summary, tags: ["Twirp"] };
  if (path === "/v1/messages") {
    return { operationId: "continue-by-session", summary: "Send the next message of a chat", tags: ["REST"] };
  }
  return { operationId: name, summary, tags: ["REST"] };
}

const inQuery = (name: string, schema: unknown) => ({ name, in: "query", schema });

function bodyOf(schema: ObjectSchema, { example }: Operation, at: { byId: boolean; twirp: boolean }) {
  if (!at.byId) return content(schema, at.twirp, example);
  // The path says which conversation it is, and nothing else has to.
  const { anyOf, ...rest } = schema;
  const { conversation_id, ...properties } = schema.properties;
  return content({ ...rest, properties }, at.twirp, example && { message: example["message"] });
}

function successOf({ contract: { response }, answer, headers = [] }: Operation, twirp: boolean) {
  return {
    description: answer,
    headers: headerRefs([...headers, ...RATE_LIMIT]),
    ...(response && { content: content(schemaOf(response), twirp) }),
  };
}

function content(schema: unknown, twirp: boolean, example?: unknown) {
  return {
    "application/json": { schema, ...(example !== undefined && { example }) },
    ...(twirp && { "application/protobuf": { schema: { type: "string", format: "binary" } } }),
  };
}

function json(schema: unknown) {
  return content(schema, false);
}

function service(operationId: string, summary: string, found: unknown, failures: object = {}) {
  return {
    operationId,
    summary,
    tags: ["Service"],
    security: [],
    responses: {
      200: { description: summary, headers: headerRefs(), content: found },
      ...failures,
      ...failureRefs(["default"]),
    },
  };
}
