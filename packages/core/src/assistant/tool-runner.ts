import { AppError, isAppError } from "../error.ts";
import { toJSONSchema } from "../json-schema.ts";
import type { Deadline } from "../resilience/deadline.ts";
import * as z from "../schema.ts";
import { elapsedMs, type Telemetry } from "../telemetry.ts";
import { truncate } from "../text.ts";
import type { Tool } from "../tools/tool.ts";
import type { ToolCall, ToolDefinition, ToolResult } from "./chat-model.ts";

/** Longer results are cut with a visible mark: a turn must stay far below DynamoDB's 400 KB. */
export const MAX_RESULT_LENGTH = 4_000;

/** Runs tool calls. Whatever goes wrong becomes a result that tells the model, never an exception for the user. */
export class ToolRunner {
  readonly definitions: readonly ToolDefinition[];
  readonly #tools: ReadonlyMap<string, Tool>;
  readonly #timeoutMs: number;
  readonly #telemetry: Telemetry;

  constructor(options: { tools: readonly Tool[]; timeoutMs: number; telemetry: Telemetry }) {
    this.#tools = new Map(options.tools.map((tool) => [tool.name, tool]));
    this.#timeoutMs = options.timeoutMs;
    this.#telemetry = options.telemetry;
    this.definitions = options.tools.map(({ name, description, parameters }) => ({
      name,
      description,
      parameters: strictSchema(parameters),
    }));
  }

  async run(call: ToolCall, deadline: Deadline): Promise<ToolResult> {
    const tool = this.#tools.get(call.name);
    // A name that the model made up stays out of metrics and traces.
    const dimensions = { tool: tool?.name ?? "unknown" };
    const startedAt = performance.now();
    this.#telemetry.count("ToolCalls", 1, dimensions);
    try {
      const content = await this.#telemetry.step(`tool ${dimensions.tool}`, () =>
        this.#execute(tool, call, deadline),
      );
      return { type: "tool_result", callId: call.id, content: truncate(content, MAX_RESULT_LENGTH) };
    } catch (error) {
      this.#telemetry.count("ToolFailures", 1, dimensions);
      if (!isAppError(error)) this.#telemetry.warn("a tool failed", { tool: dimensions.tool, error });
      const reason = isAppError(error) ? error.message : `The tool ${dimensions.tool} failed.`;
      return {
        type: "tool_result",
        callId: call.id,
        content: truncate(`Error: ${reason}`, MAX_RESULT_LENGTH),
      };
    } finally {
      this.#telemetry.count("ToolDuration", elapsedMs(startedAt), dimensions);
    }
  }

  async #execute(tool: Tool | undefined, call: ToolCall, deadline: Deadline): Promise<string> {
    if (!tool) {
      const names = [...this.#tools.keys()].join(", ");
      throw new AppError(
        "invalid_argument",
        `There is no tool ${JSON.stringify(call.name)}. The tools are: ${names}.`,
      );
    }
    deadline.check();
    const args = parseArguments(tool, call.arguments);
    const limit = deadline.part(this.#timeoutMs);
    return await Promise.race([tool.execute(args, { deadline: limit }), rejectWhenOver(tool.name, limit)]);
  }
}

function parseArguments(tool: Tool, text: string) {
  let args: unknown;
  try {
    args = JSON.parse(text);
  } catch (cause) {
    throw new AppError("malformed", `The arguments of ${tool.name} are not valid JSON.`, { cause });
  }
  const parsed = tool.parameters.safeParse(args);
  if (!parsed.success) {
    throw new AppError(
      "invalid_argument",
      `Wrong arguments for ${tool.name}: ${z.prettifyError(parsed.error)}`,
    );
  }
  return parsed.data;
}

/** For tools that do not heed their deadline: the turn goes on without them. */
function rejectWhenOver(name: string, limit: Deadline): Promise<never> {
  return new Promise((_resolve, reject) => {
    const expire = () => reject(new AppError("deadline_exceeded", `The tool ${name} took too long.`));
    if (limit.signal.aborted) expire();
    else limit.signal.addEventListener("abort", expire, { once: true });
  });
}

/** JSON Schema as strict function calling takes it; zod still checks the limits that it cannot tell. */
function strictSchema(parameters: z.ZodMiniObject): Record<string, unknown> {
  const schema = toJSONSchema(parameters, {
    io: "input",
    override: ({ jsonSchema }) => {
      delete jsonSchema.minLength;
      delete jsonSchema.maxLength;
      if (jsonSchema.type === "object") jsonSchema.additionalProperties = false;
    },
  });
  delete schema.$schema;
  return schema;
}
