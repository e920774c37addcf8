import { randomUUID } from "node:crypto";
import type { Fault } from "./faults.ts";
import { type Host, type HostRequest, json, type Latency, type Reply, startHost } from "./http.ts";
import { ApiError, modelNotFound, usualCode } from "./model/api-error.ts";
import { type Choice, createCompletions, toChoice } from "./model/completion.ts";
import type { Json } from "./model/json.ts";
import { readChatRequest } from "./model/request.ts";
import { respond } from "./model/respond.ts";
import { createResponses } from "./model/responses.ts";
import { isSummaryRequest } from "./model/summary.ts";
import { isTitleRequest } from "./model/title.ts";
import type { ChatRequest } from "./model/types.ts";
import { createUsage } from "./model/usage.ts";

/**
 * An answer laid down beforehand: words; an assistant message of Chat Completions exactly as given, which Responses
 * words as items (`finish_reason` is guessed from it when absent); a whole response body; or a function that makes one of
 * these from the request.
 */
export type ScriptedResponse =
  | string
  | { message: Json; finish_reason?: string }
  | { body: unknown }
  | ((request: ChatRequest) => ScriptedResponse);

export type ScriptOptions = {
  /** Which requests take from the script: replies by default, since the others are asked for at the same time. */
  for?: "replies" | "titles" | "summaries" | "all";
  /** The last response is given again and again. */
  repeat?: boolean;
};

export type ModelSimulator = {
  /** Ends in `/v1`: what `OPENAI_BASE_URL` wants. */
  url: string;
  inject(fault: Fault): () => void;
  /** Replaces the script; an empty one gives the word back to the model. */
  script(responses: readonly ScriptedResponse[], options?: ScriptOptions): void;
  /** Ids of responses that OpenAI would keep, for their requests did not say `store: false`. */
  stored(): readonly string[];
} & Pick<Host, "origin" | "requests" | "total" | "reset" | "close">;

const MODELS = ["offline-model", "gpt-6-luna", "gpt-6-sol", "gpt-5.4-mini"];
const CHAT = "/v1/chat/completions";
const RESPONSES = "/v1/responses";

/**
 * Speaks OpenAI's Chat Completions and Responses over HTTP. Its answers follow from the conversation, the offered tools and `now`
 * alone. A key that is missing or begins with `bad` is refused; so is a model whose name begins with `missing-`.
 */
export async function startModel(
  options: {
    port?: number | undefined;
    latencyMs?: Latency | undefined;
    now?: (() => Date) | undefined;
  } = {},
): Promise<ModelSimulator> {
  const now = options.now ?? (() => new Date());
  const usageOf = createUsage();
  const complete = createCompletions(now, usageOf);
  const responses = createResponses(now, usageOf);
  let script: ScriptedResponse[] = [];
  let scripting: ScriptOptions = {};

  function nextScripted(request: ChatRequest): ScriptedResponse | undefined {
    const { for: which = "replies", repeat = false } = scripting;
    if (which !== "all" && which !== wantedBy(request)) return undefined;
    return repeat && script.length === 1 ? script[0] : script.shift();
  }

  /** What is said next, or a whole body. */
  function answerTo(request: ChatRequest): Choice | { body: unknown } {
    let scripted = nextScripted(request);
    while (typeof scripted === "function") scripted = scripted(request);
    if (scripted === undefined) return toChoice(respond(request, now()), request.maxTokens);
    if (typeof scripted === "string") return toChoice({ text: scripted });
    if ("body" in scripted) return scripted;
    const { message, finish_reason = message["tool_calls"] === undefined ? "stop" : "tool_calls" } = scripted;
    return { message, finish_reason };
  }

  function chat(body: string): Reply {
    const request = readChatRequest(body);
    const answer = answerTo(request);
    return json(200, "body" in answer ? answer.body : complete(request, answer));
  }

  function response(body: string): Reply {
    const request = responses.read(body);
    const answer = answerTo(request);
    return json(200, "body" in answer ? answer.body : responses.write(request, answer));
  }

  function route({ method, path, headers, body }: HostRequest): Reply {
    checkKey(headers.authorization);
    if (method === "POST" && path === CHAT) return chat(body);
    if (method === "POST" && path === RESPONSES) return response(body);
    if (method === "GET" && path === "/v1/models")
      return json(200, { object: "list", data: MODELS.map(describeModel) });
    const id = /^\/v1\/models\/([^/]+)$/.exec(path)?.[1];
    if (method === "GET" && id !== undefined) {
      if (id.startsWith("missing-")) throw modelNotFound(id);
      return json(200, describeModel(id));
    }
    throw new ApiError(404, `Invalid URL (${method} ${path})`);
  }

  const host = await startHost({
    port: options.port,
    latencyMs: options.latencyMs,
    answer(request) {
      const id = { "x-request-id": `req_${randomUUID().replaceAll("-", "")}` };
      const reply = answerOf(() => route(request));
      return { ...reply, headers: { ...reply.headers, ...id } };
    },
    fail: ({ status, code = usualCode(status), message = "The simulated model was told to fail." }) =>
      new ApiError(status, message, { code }).toReply(),
    malformed: {
      ...json(200, null),
      body: '{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,',
    },
  });
  return {
    ...host,
    url: `${host.origin}/v1`,
    script(responses, how = {}) {
      script = [...responses];
      scripting = how;
    },
    stored: responses.stored,
    reset() {
      script = [];
      responses.reset();
      host.reset();
    },
  };
}

function wantedBy(request: ChatRequest): "replies" | "titles" | "summaries" {
  if (isTitleRequest(request)) return "titles";
  return isSummaryRequest(request) ? "summaries" : "replies";
}

function answerOf(route: () => Reply): Reply {
  try {
    return route();
  } catch (error) {
    if (error instanceof ApiError) return error.toReply();
    throw error;
  }
}

function checkKey(authorization: string | undefined): void {
  const key = /^Bearer\s+(\S+)$/i.exec(authorization ?? "")?.[1];
  if (key === undefined) {
    throw new ApiError(
      401,
      "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
      { code: "invalid_api_key" },
    );
  }
  if (key.startsWith("bad"))
    throw new ApiError(401, "Incorrect API key provided.", { code: "invalid_api_key" });
}

function describeModel(id: string) {
  return { id, object: "model", created: 1_767_225_600, owned_by: "parley-simulator" };
}
