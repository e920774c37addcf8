import { ApiError, invalidType, missing, unsupported } from "./api-error.ts";
import { isObject, type Json } from "./json.ts";
import type { CheckReasoning } from "./reasoning.ts";
import { parse } from "./request.ts";
import { readInput } from "./responses-input.ts";
import { readTools } from "./tools.ts";
import type { ChatRequest } from "./types.ts";

/** A request in the terms of Chat Completions, which the model understands, beside what only Responses has. */
export type ResponsesRequest = ChatRequest & {
  body: Json;
  effort: string | undefined;
  /** Whether the model thinks before it speaks, and whether it was asked to hand that over. */
  reasons: boolean;
  givesReasoning: boolean;
};

const PARAMETERS = new Set([
  ...["access_programs", "background", "context_management", "conversation", "image", "include", "input"],
  ...["instructions", "max_output_tokens", "max_tool_calls", "metadata", "model", "moderation"],
  ...["parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_options"],
  ...["prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store", "stream"],
  ...["stream_options", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation"],
  "user",
]);
const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
const ENCRYPTED = "reasoning.encrypted_content";
const LONGEST = { prompt_cache_key: 64, safety_identifier: 128 };
const LEAST_OUTPUT_TOKENS = 16;
/** Models that do not reason refuse whatever has to do with it. */
const DOES_NOT_REASON = /^gpt-[34]/;

/** Reads a Responses body; throws the `ApiError` that OpenAI would answer with. */
export function readResponsesRequest(text: string, checkReasoning: CheckReasoning): ResponsesRequest {
  const body = parse(text);
  const unknown = Object.keys(body).find((name) => !PARAMETERS.has(name));
  if (unknown !== undefined) {
    throw new ApiError(400, `Unknown parameter: '${unknown}'.`, {
      param: unknown,
      code: "unknown_parameter",
    });
  }
  const { model, instructions = "", input } = body;
  if (typeof model !== "string" || model === "") throw missing("model");
  if (model.startsWith("missing-")) {
    throw new ApiError(400, `The requested model '${model}' does not exist.`, {
      param: "model",
      code: "model_not_found",
    });
  }
  checkState(body);
  checkOptions(body);
  const effort = readEffort(body["reasoning"], model);
  const givesReasoning = readInclude(body["include"], model);
  if (typeof instructions !== "string") throw invalidType("instructions", "a string", instructions);
  if (input === undefined) throw missing("input");
  const messages = readInput(input, (items) => checkReasoning(items, model));
  const maxTokens = body["max_output_tokens"];
  return {
    model,
    messages:
      instructions === "" ? messages : [{ role: "system", text: instructions, toolCalls: [] }, ...messages],
    tools: readTools(body["tools"]),
    mayCallTools: body["tool_choice"] !== "none",
    parallelToolCalls: body["parallel_tool_calls"] !== false,
    ...(typeof maxTokens === "number" && { maxTokens }),
    body,
    effort,
    reasons: !DOES_NOT_REASON.test(model) && effort !== "none",
    givesReasoning,
  };
}

/** Nothing is kept here, so there is nothing to go on from. */
function checkState(body: Json): void {
  const previous = body["previous_response_id"] ?? null;
  if (previous !== null) {
    throw new ApiError(400, `Previous response with id '${previous}' not found.`, {
      param: "previous_response_id",
      code: "previous_response_not_found",
    });
  }
  for (const option of ["conversation", "prompt"]) {
    if ((body[option] ?? null) !== null)
      throw unsupported(option, `The simulated model has no '${option}' to refer to.`);
  }
}

function checkOptions(body: Json): void {
  for (const option of ["stream", "background"]) {
    if (body[option] === true) throw unsupported(option, `The simulated model does not know '${option}'.`);
  }
  if (typeof (body["store"] ?? true) !== "boolean") throw invalidType("store", "a boolean", body["store"]);
  const { format = { type: "text" } } = isObject(body["text"]) ? body["text"] : {};
  if (!isObject(format) || format["type"] !== "text")
    throw unsupported("text.format", "The simulated model answers in plain text.");
  if (!["auto", "none", undefined].includes(body["tool_choice"] as string | undefined)) {
    throw unsupported("tool_choice", "The simulated model knows the tool choices 'auto' and 'none'.");
  }
  for (const [option, longest] of Object.entries(LONGEST)) {
    const value = body[option] ?? "";
    if (typeof value !== "string") throw invalidType(option, "a string", value);
    if (value.length > longest) throw tooLong(option, longest, value);
  }
  const tokens = body["max_output_tokens"] ?? LEAST_OUTPUT_TOKENS;
  if (!Number.isInteger(tokens)) throw invalidType("max_output_tokens", "an integer", tokens);
  if ((tokens as number) < LEAST_OUTPUT_TOKENS) {
    throw new ApiError(
      400,
      `Invalid 'max_output_tokens': integer below minimum value. Expected a value >= ${LEAST_OUTPUT_TOKENS}, but got ${tokens} instead.`,
      { param: "max_output_tokens", code: "integer_below_min_value" },
    );
  }
}

function tooLong(param: string, longest: number, value: string): ApiError {
  return new ApiError(
    400,
    `Invalid '${param}': string too long. Expected a string with maximum length ${longest}, but got a string with length ${value.length} instead.`,
    { param, code: "string_above_max_length" },
  );
}

function readEffort(reasoning: unknown, model: string): string | undefined {
  if (reasoning === undefined || reasoning === null) return undefined;
  if (!isObject(reasoning)) throw invalidType("reasoning", "an object", reasoning);
  const effort = reasoning["effort"] ?? undefined;
  if (effort === undefined) return undefined;
  const param = "reasoning.effort";
  if (DOES_NOT_REASON.test(model)) {
    throw new ApiError(400, `Unsupported parameter: '${param}' is not supported with this model.`, {
      param,
      code: "unsupported_parameter",
    });
  }
  if (typeof effort !== "string" || !EFFORTS.includes(effort)) {
    const supported = EFFORTS.map((each) => `'${each}'`).join(", ");
    throw new ApiError(400, `Invalid value: '${String(effort)}'. Supported values are: ${supported}.`, {
      param,
      code: "invalid_value",
    });
  }
  return effort;
}

function readInclude(include: unknown, model: string): boolean {
  if (include === undefined || include === null) return false;
  if (!Array.isArray(include)) throw invalidType("include", "an array of strings", include);
  const other = include.findIndex((each) => each !== ENCRYPTED);
  if (other >= 0) {
    throw new ApiError(400, `Invalid value: '${String(include[other])}'.`, {
      param: `include[${other}]`,
      code: "invalid_value",
    });
  }
  if (include.length > 0 && DOES_NOT_REASON.test(model)) {
    throw new ApiError(400, "Encrypted content is not supported with this model.", { param: "include" });
  }
  return include.length > 0;
}
