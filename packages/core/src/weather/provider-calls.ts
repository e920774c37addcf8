import type { Clock } from "../clock.ts";
import { CircuitBreaker, type CircuitStore, type Outcome } from "../resilience/circuit-breaker.ts";
import type { Deadline } from "../resilience/deadline.ts";
import { type RetryPolicy, retry } from "../resilience/retry.ts";
import { RetryBudget } from "../resilience/retry-budget.ts";
import { retryTransient, UpstreamError } from "../resilience/upstream-error.ts";
import type { Telemetry } from "../telemetry.ts";
import type { WeatherProvider } from "./types.ts";

export type ProviderCallsOptions = {
  provider: WeatherProvider;
  circuit: CircuitStore;
  retryPolicy: RetryPolicy;
  /** Time limit of one call, in milliseconds. */
  callTimeoutMs: number;
  clock: Clock;
  telemetry: Telemetry;
};

/** The calls to one provider: each a step of the trace, within its time, behind a circuit breaker, retry and a budget of retries of its own. */
export class ProviderCalls {
  readonly name: WeatherProvider["name"];
  readonly #options: ProviderCallsOptions;
  readonly #breaker: CircuitBreaker;
  readonly #budget: RetryBudget;

  constructor(options: ProviderCallsOptions) {
    const { provider, circuit: store, retryPolicy, clock, telemetry } = options;
    this.name = provider.name;
    this.#options = options;
    this.#breaker = new CircuitBreaker({ name: provider.name, store, outcomeOf, clock, telemetry });
    this.#budget = new RetryBudget({
      dependency: provider.name,
      reserve: retryPolicy.maxRetries,
      clock,
      telemetry,
    });
  }

  /**
   * @throws why the last attempt failed; without one that came to its end, CircuitOpenError, or AppError
   * deadline_exceeded when `deadline` is over
   */
  run<T>(
    call: (provider: WeatherProvider, signal: AbortSignal) => Promise<T>,
    options: { deadline: Deadline; maxRetries: number },
  ): Promise<T> {
    const { provider, retryPolicy, callTimeoutMs, telemetry } = this.#options;
    const { deadline, maxRetries } = options;
    let failure: unknown;
    const attempt = async () => {
      try {
        return await call(provider, deadline.within(callTimeoutMs));
      } catch (error) {
        // Our own time ran out, which says nothing of the provider.
        deadline.check();
        failure = error;
        throw error;
      }
    };
    return telemetry.step(`weather ${provider.name}`, async () => {
      telemetry.annotate({ provider: provider.name });
      try {
        return await retry(() => this.#breaker.run(attempt), {
          policy: { ...retryPolicy, maxRetries },
          deadline,
          verdict: retryTransient,
          budget: this.#budget,
          onRetry: () => telemetry.count("Retries", 1, { dependency: provider.name }),
        });
      } catch (error) {
        throw failure ?? error;
      }
    });
  }
}

/** Only what says something about the provider: a misspelt city or a wrong key does not open the circuit. */
function outcomeOf(error: unknown): Outcome {
  return error instanceof UpstreamError && error.transient ? "failure" : "neutral";
}
