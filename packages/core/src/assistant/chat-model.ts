import { isAppError } from "../error.ts";
import { UpstreamError } from "../resilience/upstream-error.ts";

/** What passes between us and a model, in order. A tool's result follows its call within the same turn. */
export type Message = { type: "message"; role: "user" | "assistant"; content: string };
/** `arguments` is JSON text as the model wrote it, which may be no JSON at all. */
export type ToolCall = { type: "tool_call"; id: string; name: string; arguments: string };
export type ToolResult = { type: "tool_result"; callId: string; content: string };
export type Item = Message | ToolCall | ToolResult;
/** What a turn did between the user's message and the reply. */
export type Step = ToolCall | ToolResult | Message;
/**
 * One round of the turn under way. `output` is what its driver had from the model, for the next request of the same model
 * to give back as it is: it holds reasoning, which has no other form. It is not stored, and whoever cannot use it takes
 * the steps.
 */
export type Round = { type: "round"; steps: readonly Step[]; output?: ModelOutput | undefined };
export type ModelOutput = { model: string; items: readonly unknown[] };

/** Tokens as the provider billed them; `cached` is the part of `input` that it had in its prompt cache. */
export type Usage = { input: number; output: number; cached: number };
export const NO_USAGE: Usage = { input: 0, output: 0, cached: 0 };

/** `parameters` is a JSON Schema fit for strict function calling. */
export type ToolDefinition = { name: string; description: string; parameters: Record<string, unknown> };

export type ModelRequest = {
  instructions: string;
  items: readonly (Item | Round)[];
  tools: readonly ToolDefinition[];
  /** "none" asks for an answer in words whatever tools are listed. */
  toolChoice: "auto" | "none";
  /** Hashes of the conversation and of who asks: the same ones again, and nobody learns whose they are. */
  conversation?: string | undefined;
  asker?: string | undefined;
  signal: AbortSignal;
};

/** Words, tool calls, or both; never neither. */
export type ModelResponse = {
  text: string;
  toolCalls: ToolCall[];
  usage: Usage;
  output?: ModelOutput | undefined;
};

export interface ChatModel {
  /** The model's name, for usage records and metrics. */
  readonly name: string;
  /**
   * One call, no retries. @throws UpstreamError when the provider failed, AppError when a setting is wrong or the
   * request can never succeed: `failed_precondition` with the setting in `meta`, `out_of_range` when it is too long. Only
   * of what was answered with an error status is it known that it costs nothing: `isUnbilled`.
   */
  respond(request: ModelRequest): Promise<ModelResponse>;
}

/** Whether a failed call was refused by its provider, and not cut, timed out, or answered with nothing to be used. */
export const isUnbilled = (error: unknown): boolean =>
  error instanceof UpstreamError
    ? error.status !== undefined
    : isAppError(error) && error.code !== "unavailable";
