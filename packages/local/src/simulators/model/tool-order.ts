import { ApiError } from "./api-error.ts";
import type { ChatMessage } from "./types.ts";

/** Every tool message answers a call of the assistant message before it, and every call is answered. */
export function checkToolOrder(messages: readonly ChatMessage[]): void {
  let waiting = new Set<string>();
  messages.forEach((message, index) => {
    if (message.role === "tool") {
      if (!waiting.delete(message.toolCallId ?? "")) throw orphan(index);
      return;
    }
    if (waiting.size > 0) throw unanswered(waiting, index);
    waiting = new Set(message.toolCalls.map(({ id }) => id));
  });
  if (waiting.size > 0) throw unanswered(waiting, messages.length);
}

function orphan(index: number): ApiError {
  return new ApiError(
    400,
    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
    { param: `messages.[${index}].role` },
  );
}

function unanswered(ids: ReadonlySet<string>, index: number): ApiError {
  return new ApiError(
    400,
    `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${[...ids].join(", ")}`,
    { param: `messages.[${index}].role` },
  );
}
