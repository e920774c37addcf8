import { AppError } from "../error.ts";
import type { Deadline } from "../resilience/deadline.ts";
import { type RetryPolicy, retry } from "../resilience/retry.ts";
import { retryTransient, UpstreamError } from "../resilience/upstream-error.ts";
import type { Telemetry } from "../telemetry.ts";
import { truncate } from "../text.ts";
import type { ChatModel, Item, ModelRequest, ModelResponse, Step, Usage } from "./chat-model.ts";
import { estimateItems, estimateTokens, newestThatFit, type PastTurn, weighTurn } from "./context-window.ts";
import { callModel } from "./model-call.ts";
import { promptFor } from "./prompts.ts";
import type { ToolRunner } from "./tool-runner.ts";

/** Rounds of tool calls in one turn; after the last the model is asked to answer in words. */
const MAX_ROUNDS = 8;
/** Tool calls that one round may run; the next few are told so, and more are as if never made. */
const MAX_CALLS_PER_ROUND = 8;
const MAX_CALLS_KEPT = 16;
const MAX_REPLY_LENGTH = 32_000;
/**
 * UTF-16 units that one turn's steps may hold, at 3 bytes each the most: with the message (16 KB) and the reply a turn
 * stays below DynamoDB's 400 KB.
 */
const MAX_STEPS_LENGTH = 64_000;
/** Enough for the mark of a cut. */
const MIN_CONTENT_LENGTH = 40;
const MAX_ARGUMENTS_LENGTH = 4_000;

export type Question = {
  platform: string;
  /** Turns before this one, oldest first. */
  history: readonly PastTurn[];
  message: string;
  /** What the model should know besides, for this question alone. */
  context?: string | undefined;
  deadline: Deadline;
};

/** An answer and all that the turn's record keeps of how it came about. */
export type Answer = {
  text: string;
  steps: Step[];
  usage: Usage;
  /** What the turn weighs in later context windows. */
  tokens: number;
  model: string;
  promptVersion: string;
};

/** Answers one message: model, tools in parallel, model again, until the answer is words. */
export class Assistant {
  readonly #model: ChatModel;
  readonly #tools: Pick<ToolRunner, "definitions" | "run">;
  readonly #maxContextTokens: number;
  readonly #callTimeoutMs: number;
  readonly #retryPolicy: RetryPolicy;
  readonly #telemetry: Telemetry;

  constructor(options: {
    model: ChatModel;
    tools: Pick<ToolRunner, "definitions" | "run">;
    maxContextTokens: number;
    /** Time limit of one call to the model, in milliseconds. */
    callTimeoutMs: number;
    retryPolicy: RetryPolicy;
    telemetry: Telemetry;
  }) {
    this.#model = options.model;
    this.#tools = options.tools;
    this.#maxContextTokens = options.maxContextTokens;
    this.#callTimeoutMs = options.callTimeoutMs;
    this.#retryPolicy = options.retryPolicy;
    this.#telemetry = options.telemetry;
  }

  /** @throws AppError when there is no answer: deadline_exceeded, unavailable, resource_exhausted, failed_precondition */
  async reply({ platform, history, message, context, deadline }: Question): Promise<Answer> {
    const prompt = promptFor(platform);
    const steps: Step[] = [];
    const usage: Usage = { input: 0, output: 0, cached: 0 };
    // Last, so that the prompt before it stays the same for everybody: providers cache by prefix.
    const instructions = context ? `${prompt.text}\n\n${context}` : prompt.text;
    const fixed = estimateTokens(instructions) + estimateTokens(JSON.stringify(this.#tools.definitions));
    const own: Item = { type: "message", role: "user", content: message };
    const past = newestThatFit(history, this.#maxContextTokens - fixed - estimateItems([own]));
    let firstCounted = 0;
    for (let round = 0; round <= MAX_ROUNDS; round++) {
      const response = await this.#ask(
        {
          instructions,
          items: [...past, own, ...steps],
          tools: this.#tools.definitions,
          toolChoice: round < MAX_ROUNDS ? "auto" : "none",
        },
        deadline,
      );
      add(usage, response.usage);
      if (round === 0) firstCounted = response.usage.input;
      if (response.toolCalls.length === 0) {
        const text = truncate(response.text, MAX_REPLY_LENGTH);
        const tokens = weighTurn(
          { message, steps, reply: text },
          { estimated: fixed + estimateItems([...past, own]), counted: firstCounted },
        );
        return { text, steps, usage, tokens, model: this.#model.name, promptVersion: prompt.version };
      }
      if (round < MAX_ROUNDS) {
        const room = MAX_STEPS_LENGTH - steps.reduce((sum, step) => sum + lengthOf(step), 0);
        steps.push(...cutToFit(await this.#round(response, deadline), room));
      }
    }
    throw new AppError(
      "unavailable",
      "The model kept calling tools and gave no answer. Put the question another way.",
      {
        meta: { rounds: String(MAX_ROUNDS) },
      },
    );
  }

  async #round(response: ModelResponse, deadline: Deadline): Promise<Step[]> {
    const calls = response.toolCalls.slice(0, MAX_CALLS_KEPT).map((call) => ({
      ...call,
      arguments: truncate(call.arguments, MAX_ARGUMENTS_LENGTH),
    }));
    const said: Step[] = response.text
      ? [{ type: "message", role: "assistant", content: truncate(response.text, MAX_REPLY_LENGTH) }]
      : [];
    const results = await Promise.all(
      calls.map((call, index) =>
        index < MAX_CALLS_PER_ROUND
          ? this.#tools.run(call, deadline)
          : {
              type: "tool_result" as const,
              callId: call.id,
              content: `Error: only ${MAX_CALLS_PER_ROUND} tools are run at once; call this one again.`,
            },
      ),
    );
    return [...said, ...calls, ...results];
  }

  async #ask(request: Omit<ModelRequest, "signal">, deadline: Deadline): Promise<ModelResponse> {
    const call = async () => {
      try {
        const signal = deadline.within(this.#callTimeoutMs);
        return await callModel(this.#model, { ...request, signal }, this.#telemetry);
      } catch (error) {
        deadline.check();
        throw error;
      }
    };
    try {
      return await this.#telemetry.step("model", () =>
        retry(call, {
          policy: this.#retryPolicy,
          deadline,
          verdict: retryTransient,
          onRetry: () => this.#telemetry.count("Retries", 1, { dependency: "model" }),
        }),
      );
    } catch (cause) {
      if (!(cause instanceof UpstreamError)) throw cause;
      throw new AppError(
        "unavailable",
        "The model is unavailable right now. Send the message again in a moment.",
        {
          cause,
          meta: { retry_after: String(Math.ceil((cause.retryAfterMs ?? 2_000) / 1000)) },
        },
      );
    }
  }
}

const lengthOf = (step: Step) => (step.type === "tool_call" ? step.arguments : step.content).length;

/** The same steps, the texts of the last ones cut to what room is left. */
function cutToFit(steps: readonly Step[], room: number): Step[] {
  let left = room;
  return steps.map((step) => {
    const fitted =
      step.type === "tool_call"
        ? { ...step, arguments: truncate(step.arguments, Math.max(2, left), "") }
        : { ...step, content: truncate(step.content, Math.max(MIN_CONTENT_LENGTH, left)) };
    left -= lengthOf(fitted);
    return fitted;
  });
}

function add(sum: Usage, usage: Usage) {
  sum.input += usage.input;
  sum.output += usage.output;
  sum.cached += usage.cached;
}
