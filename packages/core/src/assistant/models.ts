import type { Budgets, Spender } from "../budget/budgets.ts";
import { type Clock, systemClock } from "../clock.ts";
import { isAppError } from "../error.ts";
import type { Deadline } from "../resilience/deadline.ts";
import { type RetryPolicy, retry } from "../resilience/retry.ts";
import { RetryBudget } from "../resilience/retry-budget.ts";
import { retryTransient, UpstreamError } from "../resilience/upstream-error.ts";
import type { Telemetry } from "../telemetry.ts";
import {
  type ChatModel,
  isUnbilled,
  type ModelRequest,
  type ModelResponse,
  NO_USAGE,
  type Usage,
} from "./chat-model.ts";
import { estimateItems, estimateTokens } from "./context-window.ts";
import { callModel } from "./model-call.ts";

/** With less time than this a second model has no answer either. */
const MIN_FALLBACK_MS = 1_000;
/** Of the time that is left this part is the fallback's, unless it is so little that the first one does better with it. */
const FALLBACK_SHARE = 1 / 3;
const MIN_SHARE_MS = 2_000;

/** `model` is the one that answered. */
export type Asked = ModelResponse & { model: string };
type Request = Omit<ModelRequest, "signal">;
export type Ask = (request: Request) => Promise<Asked>;
/** For whom, by when, and how often at the most a call is repeated: as the policy says when absent. */
export type AskOptions = { spender: Spender; deadline: Deadline; maxRetries?: number };
type Terms = Required<AskOptions>;

/**
 * The model behind its retries and, when that has failed, the fallback behind the same: when the first is gone,
 * overloaded, or out of the time that is its own.
 */
export class Models {
  readonly #model: ChatModel;
  readonly #fallback: ChatModel | undefined;
  readonly #callTimeoutMs: number;
  readonly #retryPolicy: RetryPolicy;
  readonly #budgets: Pick<Budgets, "reserve"> | undefined;
  readonly #retryBudget: RetryBudget;
  readonly #telemetry: Telemetry;
  /** The last answer of the fallback was none. */
  #fallbackFails = false;

  constructor(options: {
    model: ChatModel;
    fallback?: ChatModel | undefined;
    /** Time limit of one call, in milliseconds. */
    callTimeoutMs: number;
    retryPolicy: RetryPolicy;
    /** Absent: nobody counts what is spent. */
    budgets?: Pick<Budgets, "reserve"> | undefined;
    clock?: Clock;
    telemetry: Telemetry;
  }) {
    this.#model = options.model;
    this.#fallback = options.fallback;
    this.#callTimeoutMs = options.callTimeoutMs;
    this.#retryPolicy = options.retryPolicy;
    this.#budgets = options.budgets;
    this.#telemetry = options.telemetry;
    this.#retryBudget = new RetryBudget({
      dependency: "model",
      reserve: options.retryPolicy.maxRetries,
      clock: options.clock ?? systemClock,
      telemetry: options.telemetry,
    });
  }

  /** Of the model that is asked first. */
  get name(): string {
    return this.#model.name;
  }

  /**
   * What asks for one answer, in as many rounds as it takes: once on the fallback it stays there, for the one model cannot
   * read the other's reasoning. @throws UpstreamError, AppError as ChatModel does, deadline_exceeded, and
   * resource_exhausted when the spender's budget is
   */
  open({ maxRetries = this.#retryPolicy.maxRetries, ...rest }: AskOptions): Ask {
    const terms = { ...rest, maxRetries };
    const { deadline } = terms;
    let switched = false;
    return async (request) => {
      const fallback = this.#fallback;
      if (!fallback) return this.#askFirst(request, terms);
      if (switched) return this.#askFallback(fallback, request, terms);
      const share = deadline.remaining() * FALLBACK_SHARE;
      const own = deadline.part(deadline.remaining() - (share < MIN_SHARE_MS ? 0 : share));
      try {
        return await this.#askFirst(request, { ...terms, deadline: own });
      } catch (error) {
        const reason = reasonToSwitch(error);
        if (!reason || deadline.remaining() < MIN_FALLBACK_MS || !this.#maySwitch()) throw error;
        switched = true;
        this.#telemetry.count("ModelFallbacks", 1, { model: fallback.name });
        this.#telemetry.annotate({ fallback: reason });
        this.#telemetry.warn("the fallback model is asked", { reason, error });
        return this.#askFallback(fallback, request, terms);
      }
    };
  }

  /**
   * A switch is no retry while the fallback answers. When it fails as well, the provider may be down, and then the budget
   * is of all that it is asked beyond once.
   */
  #maySwitch(): boolean {
    return !this.#fallbackFails || this.#retryBudget.withdraw();
  }

  #askFirst(request: Request, terms: Terms): Promise<Asked> {
    const budget = {
      deposit: () => this.#retryBudget.deposit(),
      // Else the first model's retries would leave none to find out that the fallback is well again.
      withdraw: () => this.#retryBudget.withdraw(this.#fallbackFails ? 1 : 0),
    };
    return this.#ask(this.#model, request, terms, budget);
  }

  async #askFallback(model: ChatModel, request: Request, terms: Terms): Promise<Asked> {
    // Nothing is paid in: the turn has paid with its first call.
    const budget = { deposit: () => {}, withdraw: () => this.#retryBudget.withdraw() };
    try {
      const asked = await this.#ask(model, request, terms, budget);
      this.#fallbackFails = false;
      return asked;
    } catch (error) {
      this.#fallbackFails = reasonToSwitch(error) !== undefined;
      throw error;
    }
  }

  async #ask(
    model: ChatModel,
    request: Request,
    { spender, deadline, maxRetries }: Terms,
    budget: Pick<RetryBudget, "deposit" | "withdraw">,
  ): Promise<Asked> {
    const call = async () => {
      const inputTokens = this.#budgets ? estimateRequest(request) : 0;
      const estimate = { model: model.name, inputTokens };
      const reservation = await this.#budgets?.reserve(spender, estimate, deadline);
      try {
        const signal = deadline.within(this.#callTimeoutMs);
        const response = await callModel(model, { ...request, signal }, this.#telemetry);
        await reservation?.settle(
          isCounted(response) ? response.usage : estimateUsage(response, inputTokens),
        );
        return response;
      } catch (error) {
        await reservation?.settle(isUnbilled(error) ? NO_USAGE : undefined);
        deadline.check();
        throw error;
      }
    };
    const response = await retry(call, {
      policy: { ...this.#retryPolicy, maxRetries },
      deadline,
      verdict: retryTransient,
      budget,
      onRetry: () => this.#telemetry.count("Retries", 1, { dependency: "model" }),
    });
    return { ...response, model: model.name };
  }
}

function estimateRequest({ instructions, items, tools }: Request): number {
  const said = items.flatMap((item) => (item.type === "round" ? item.steps : [item]));
  return estimateTokens(instructions) + estimateTokens(JSON.stringify(tools)) + estimateItems(said);
}

/** Some servers count no tokens. */
const isCounted = ({ usage }: ModelResponse) => usage.input + usage.output > 0;

const estimateUsage = ({ text, toolCalls }: ModelResponse, input: number): Usage => ({
  input,
  cached: 0,
  output: estimateTokens(text) + estimateItems(toolCalls),
});

/** Why another model may have the answer that this one has not; nothing for what would be the same with both. */
function reasonToSwitch(error: unknown): "gone" | "late" | "failing" | undefined {
  if (error instanceof UpstreamError) return "failing";
  if (isAppError(error, "deadline_exceeded")) return "late";
  if (isAppError(error, "failed_precondition") && error.meta["setting"]?.endsWith("_MODEL")) return "gone";
  return undefined;
}
