import type { Spender } from "../budget/budgets.ts";
import { AppError, isAppError } from "../error.ts";
import type { Deadline } from "../resilience/deadline.ts";
import { UpstreamError } from "../resilience/upstream-error.ts";
import type { Telemetry } from "../telemetry.ts";
import { truncate } from "../text.ts";
import type { Item, ModelResponse, Round, Step, Usage } from "./chat-model.ts";
import {
  estimateItems,
  estimateTokens,
  type PastTurn,
  pastThatFits,
  type Summary,
  unweighed,
  weighTurn,
} from "./context-window.ts";
import type { CurrentPrompts } from "./current-prompts.ts";
import type { Ask, Asked, Models } from "./models.ts";
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
  /** Turns before this one, oldest first; those alone that are not in the summary. */
  history: readonly PastTurn[];
  summary?: Summary | undefined;
  message: string;
  /** What the model should know besides, for this question alone. */
  context?: string | undefined;
  /** Hashes that tell the provider which requests belong together. */
  conversation?: string | undefined;
  asker?: string | undefined;
  spender: Spender;
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
  readonly #models: Pick<Models, "open">;
  readonly #prompts: Pick<CurrentPrompts, "promptFor" | "known"> | undefined;
  readonly #tools: Pick<ToolRunner, "definitions" | "run">;
  readonly #maxContextTokens: number;
  readonly #telemetry: Telemetry;

  constructor(options: {
    models: Pick<Models, "open">;
    /** Absent: the built-in ones. */
    prompts?: Pick<CurrentPrompts, "promptFor" | "known">;
    tools: Pick<ToolRunner, "definitions" | "run">;
    maxContextTokens: number;
    telemetry: Telemetry;
  }) {
    this.#models = options.models;
    this.#prompts = options.prompts;
    this.#tools = options.tools;
    this.#maxContextTokens = options.maxContextTokens;
    this.#telemetry = options.telemetry;
  }

  /** Tokens that a window has for what was said: all but the instructions and the tools. */
  room(platform: string): number {
    return this.#maxContextTokens - this.#fixed((this.#prompts?.known(platform) ?? promptFor(platform)).text);
  }

  /** @throws AppError when there is no answer: deadline_exceeded, unavailable, resource_exhausted, failed_precondition */
  async reply(question: Question): Promise<Answer> {
    const { platform, history, summary, message, context, spender, deadline, ...hashes } = question;
    const prompt = (await this.#prompts?.promptFor(platform)) ?? promptFor(platform);
    this.#telemetry.annotate({ prompt: prompt.version });
    const ask = this.#models.open({ spender, deadline });
    const rounds: Round[] = [];
    const steps: Step[] = [];
    const usage: Usage = { input: 0, output: 0, cached: 0 };
    // Last, so that the prompt before it stays the same for everybody: providers cache by prefix.
    const instructions = context ? `${prompt.text}\n\n${context}` : prompt.text;
    const fixed = this.#fixed(instructions);
    const own: Item = { type: "message", role: "user", content: message };
    let before = { summary, turns: history };
    let room = this.#maxContextTokens - fixed - estimateItems([own]);
    let isShrunk = false;
    const first = { estimated: 0, counted: 0 };
    for (let round = 0; round <= MAX_ROUNDS; round++) {
      const request = {
        instructions,
        tools: this.#tools.definitions,
        toolChoice: round < MAX_ROUNDS ? ("auto" as const) : ("none" as const),
        ...hashes,
      };
      // Tool calls and their results take the place of older turns.
      const stepTokens = estimateItems(steps);
      let past = pastThatFits(before, room - stepTokens);
      const askWith = () => this.#ask(ask, { ...request, items: [...past, own, ...rounds] });
      const response = await askWith().catch((error: unknown) => {
        if (isShrunk || past.length === 0 || !isAppError(error, "out_of_range")) throw error;
        // What the model takes is less than MAX_CONTEXT_TOKENS, or our estimate is far off.
        this.#telemetry.warn("too long for the model: the older half of the past is left out", { error });
        isShrunk = true;
        before = { summary, turns: unweighed(history) };
        room = Math.floor(estimateItems(past) / 2) + stepTokens;
        past = pastThatFits(before, room - stepTokens);
        return askWith();
      });
      add(usage, response.usage);
      if (round === 0) {
        first.estimated = fixed + estimateItems([...past, own]);
        first.counted = response.usage.input;
      }
      if (response.toolCalls.length === 0) {
        const text = truncate(response.text, MAX_REPLY_LENGTH);
        const tokens = weighTurn({ message, steps, reply: text }, first);
        return { text, steps, usage, tokens, model: response.model, promptVersion: prompt.version };
      }
      if (round < MAX_ROUNDS) {
        const room = MAX_STEPS_LENGTH - steps.reduce((sum, step) => sum + lengthOf(step), 0);
        const made = cutToFit(await this.#round(response, deadline), room);
        rounds.push({ type: "round", steps: made, output: response.output });
        steps.push(...made);
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

  #fixed(instructions: string): number {
    return estimateTokens(instructions) + estimateTokens(JSON.stringify(this.#tools.definitions));
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

  async #ask(ask: Ask, request: Parameters<Ask>[0]): Promise<Asked> {
    try {
      return await this.#telemetry.step("model", () => ask(request));
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
