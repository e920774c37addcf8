import { Assistant, type Question } from "@parley/core/assistant/assistant";
import type { CurrentPrompts } from "@parley/core/assistant/current-prompts";
import { Models } from "@parley/core/assistant/models";
import { OpenAIChat } from "@parley/core/assistant/openai-chat";
import { OpenAIResponses } from "@parley/core/assistant/openai-responses";
import { ToolRunner } from "@parley/core/assistant/tool-runner";
import type { Budgets } from "@parley/core/budget/budgets";
import { AppError } from "@parley/core/error";
import { Deadline } from "@parley/core/resilience/deadline";
import * as z from "@parley/core/schema";
import { defineTool, type Tool } from "@parley/core/tools/tool";
import type { ModelSimulator } from "@parley/local/simulators/model";
import { expect } from "vitest";
import { RecordingTelemetry } from "./telemetry.ts";

export type AssistantSetup = {
  tools?: readonly Tool[];
  toolTimeoutMs?: number;
  callTimeoutMs?: number;
  maxContextTokens?: number;
  apiKey?: string;
  api?: "chat" | "responses";
  modelName?: string;
  fallbackName?: string;
  baseUrl?: string;
  reasoningEffort?: string;
  prompts?: CurrentPrompts;
  budgets?: Budgets;
  maxOutputTokens?: number;
};

/** An assistant with tools of the test's own on the simulated model. */
export function assistantOn(model: Pick<ModelSimulator, "url">, setup: AssistantSetup = {}) {
  const telemetry = new RecordingTelemetry();
  const Driver = setup.api === "responses" ? OpenAIResponses : OpenAIChat;
  const connection = {
    apiKey: setup.apiKey ?? "sk-hunter2",
    baseUrl: setup.baseUrl ?? model.url,
    reasoningEffort: setup.reasoningEffort,
    maxOutputTokens: setup.maxOutputTokens,
  };
  const { fallbackName } = setup;
  const models = new Models({
    model: new Driver({ ...connection, model: setup.modelName ?? "offline-model" }),
    fallback: fallbackName
      ? new Driver({ ...connection, model: fallbackName, setting: "OPENAI_FALLBACK_MODEL" })
      : undefined,
    callTimeoutMs: setup.callTimeoutMs ?? 5_000,
    retryPolicy: { maxRetries: 3, baseMs: 5, capMs: 20 },
    budgets: setup.budgets,
    telemetry,
  });
  const runner = new ToolRunner({
    tools: setup.tools ?? [],
    timeoutMs: setup.toolTimeoutMs ?? 5_000,
    telemetry,
  });
  const assistant = new Assistant({
    models,
    ...(setup.prompts && { prompts: setup.prompts }),
    tools: runner,
    maxContextTokens: setup.maxContextTokens ?? 4_000,
    telemetry,
  });
  const reply = (message: string, more: Partial<Omit<Question, "message">> = {}) =>
    assistant.reply({
      platform: "api",
      history: [],
      spender: { owner: "tester" },
      deadline: new Deadline(20_000),
      ...more,
      message,
    });
  return { reply, telemetry, runner, models };
}

/** Of a reply that is to be none. */
export const failure = (run: Promise<unknown>): Promise<AppError> =>
  run.then(
    () => {
      throw new Error("there was an answer");
    },
    (error: unknown) => {
      expect(error).toBeInstanceOf(AppError);
      return error as AppError;
    },
  );

/** A tool that takes any text. */
export const textTool = (name: string, execute: Tool["execute"]) =>
  defineTool({ name, description: name, parameters: z.object({ text: z.nullable(z.string()) }), execute });

export type ScriptedCall = { name: string; args?: unknown; id?: string };

/** The model's round of tool calls; arguments that are a string go out as they are. */
export function calling(...calls: (ScriptedCall | string)[]): { message: { [key: string]: unknown } } {
  const toolCalls = calls.map((each, index) => {
    const { name, args = { text: null }, id } = typeof each === "string" ? { name: each } : each;
    return {
      id: id ?? `call_${index}`,
      type: "function",
      function: { name, arguments: typeof args === "string" ? args : JSON.stringify(args) },
    };
  });
  return { message: { role: "assistant", content: null, tool_calls: toolCalls } };
}

export type SentMessage = {
  role: string;
  content: string | null;
  tool_calls?: { id: string; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
};
export type SentRequest = {
  model: string;
  messages: SentMessage[];
  tools?: { function: { name: string } }[];
  tool_choice?: string;
  reasoning_effort?: string;
};

/** The bodies of the requests that the model had. */
export const sentTo = (model: Pick<ModelSimulator, "requests">): SentRequest[] =>
  model.requests.map(({ body }) => JSON.parse(body));
