import { OpenAIChat } from "@parley/core/assistant/openai-chat";
import { OpenAIResponses } from "@parley/core/assistant/openai-responses";
import type OpenAI from "openai";
import { chatModelSuite, type Seen } from "./chat-model.ts";

chatModelSuite("Chat Completions", {
  create: (options) => new OpenAIChat(options),
  path: "/v1/chat/completions",
  see(body): Seen {
    const request: OpenAI.ChatCompletionCreateParams = JSON.parse(body);
    const [system, ...messages] = request.messages;
    const items = messages.flatMap((message) => {
      if (message.role === "tool") return [`result: ${message.tool_call_id} ${message.content}`];
      const said = message.content === null ? [] : [`${message.role}: ${message.content}`];
      const calls = message.role === "assistant" ? (message.tool_calls ?? []) : [];
      return [
        ...said,
        ...calls.map((call) =>
          call.type === "function" ? `call: ${call.id} ${call.function.name} ${call.function.arguments}` : "",
        ),
      ];
    });
    const tools = (request.tools ?? []).map((tool) => {
      if (tool.type !== "function") throw new Error("a tool that is no function");
      const { name, strict, parameters } = tool.function;
      return { name, strict, parameters };
    });
    return {
      instructions: system?.content,
      items,
      tools,
      toolChoice: request.tool_choice,
      effort: request.reasoning_effort,
    };
  },
});

chatModelSuite("Responses", {
  create: (options) => new OpenAIResponses(options),
  path: "/v1/responses",
  see(body): Seen {
    const request: OpenAI.Responses.ResponseCreateParams = JSON.parse(body);
    const items = (request.input as OpenAI.Responses.ResponseInputItem[]).flatMap((item) => {
      if (item.type === "function_call") return [`call: ${item.call_id} ${item.name} ${item.arguments}`];
      if (item.type === "function_call_output") return [`result: ${item.call_id} ${item.output}`];
      if ("role" in item && "content" in item) return [`${item.role}: ${item.content}`];
      return [];
    });
    const tools = (request.tools ?? []).map((tool) => {
      if (tool.type !== "function") throw new Error("a tool that is no function");
      return { name: tool.name, strict: tool.strict, parameters: tool.parameters };
    });
    return {
      instructions: request.instructions,
      items,
      tools,
      toolChoice: request.tool_choice,
      effort: request.reasoning?.effort,
    };
  },
});
