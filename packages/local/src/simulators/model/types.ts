import type { Json } from "./json.ts";

export type ToolCall = { id: string; name: string; arguments: string };

export type ChatMessage = {
  role: "system" | "developer" | "user" | "assistant" | "tool";
  /** Text parts joined; empty when there are none. */
  text: string;
  toolCalls: readonly ToolCall[];
  /** On a tool message, the call that it answers. */
  toolCallId?: string;
};

/** A tool of the request; `parameters` is its JSON Schema. */
export type OfferedTool = { name: string; description: string; parameters: Json };

export type ChatRequest = {
  model: string;
  messages: readonly ChatMessage[];
  tools: readonly OfferedTool[];
  mayCallTools: boolean;
  parallelToolCalls: boolean;
  maxTokens?: number;
};
