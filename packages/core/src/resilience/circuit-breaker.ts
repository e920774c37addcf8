import { type Clock, Pause, systemClock } from "../clock.ts";
import { newHolderId } from "../id.ts";
import { silentTelemetry, type Telemetry } from "../telemetry.ts";

/** closed: calls pass. open: calls are refused until the cooldown ends. half_open: one probe is under way. */
export type CircuitState = "closed" | "open" | "half_open";

/** What a finished call says about the dependency; `neutral` says nothing (a 400 for a misspelt city). */
export type Outcome = "ok" | "failure" | "neutral";

export type Admission =
  | { allowed: true; state: "closed" | "half_open"; generation: string }
  | { allowed: false; state: "open" | "half_open"; retryAfterMs: number };

/**
 * The state that all instances share. Each method is one atomic transition on the store's own clock, and repeating
 * one with the same `attempt` id has no further effect: a reply can be lost after the command ran.
 */
export interface CircuitStore {
  /** In half-open exactly one attempt is admitted; its lease ends by itself if the prober dies. */
  acquire(attempt: string): Promise<Admission>;
  /**
   * Tells how the attempt ended; `generation` is its admission's: an outcome from an older state is ignored.
   * @returns the new state when this outcome changed it
   */
  settle(attempt: string, generation: string, outcome: Outcome): Promise<CircuitState | undefined>;
}

/** The circuit is open, or another instance is probing: the call was not made. */
export class CircuitOpenError extends Error {
  override readonly name = "CircuitOpenError";
  readonly retryAfterMs: number;

  constructor(dependency: string, retryAfterMs: number) {
    super(`the circuit to ${dependency} is open`);
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Guards one dependency. A healthy call costs one store request, a failure or a probe one more. When the store itself
 * fails the call is admitted: the breaker protects the dependency, it must not become an outage of its own.
 */
export class CircuitBreaker {
  readonly #name: string;
  readonly #store: CircuitStore;
  readonly #outcomeOf: (error: unknown) => Outcome;
  readonly #refusing: Pause;
  readonly #telemetry: Telemetry;

  constructor(options: {
    name: string;
    store: CircuitStore;
    outcomeOf: (error: unknown) => Outcome;
    clock?: Clock;
    telemetry?: Telemetry;
  }) {
    this.#name = options.name;
    this.#store = options.store;
    this.#outcomeOf = options.outcomeOf;
    this.#refusing = new Pause(options.clock ?? systemClock);
    this.#telemetry = options.telemetry ?? silentTelemetry;
  }

  /** @throws CircuitOpenError when the call was refused; otherwise whatever `call` throws */
  async run<T>(call: () => Promise<T>): Promise<T> {
    const attempt = newHolderId();
    const admission = await this.#acquire(attempt);
    try {
      const value = await call();
      // Closed and well: nothing to write. A probe's success closes the circuit.
      if (admission?.state === "half_open") await this.#settle(attempt, admission.generation, "ok");
      return value;
    } catch (error) {
      const outcome = this.#outcomeOf(error);
      if (admission && (outcome !== "neutral" || admission.state === "half_open")) {
        await this.#settle(attempt, admission.generation, outcome);
      }
      throw error;
    }
  }

  async #acquire(attempt: string) {
    const wait = this.#refusing.left();
    if (wait > 0) this.#refuse(wait);
    const admission = await this.#store.acquire(attempt).catch((error: unknown) => {
      this.#telemetry.warn("circuit breaker state is unavailable: the call is admitted", { error });
      return undefined;
    });
    if (admission && !admission.allowed) {
      // A cooldown lasts to its end, but a probe may close the circuit long before its lease is over.
      if (admission.state === "open") this.#refusing.begin(admission.retryAfterMs);
      this.#refuse(admission.retryAfterMs);
    }
    if (admission?.state === "half_open") this.#count("CircuitHalfOpened");
    return admission?.allowed ? admission : undefined;
  }

  #refuse(retryAfterMs: number): never {
    this.#count("CircuitRejections");
    throw new CircuitOpenError(this.#name, retryAfterMs);
  }

  #count(metric: "CircuitOpened" | "CircuitHalfOpened" | "CircuitClosed" | "CircuitRejections") {
    this.#telemetry.count(metric, 1, { dependency: this.#name });
  }

  async #settle(attempt: string, generation: string, outcome: Outcome) {
    try {
      const state = await this.#store.settle(attempt, generation, outcome);
      if (state === "open") this.#count("CircuitOpened");
      if (state === "closed") this.#count("CircuitClosed");
    } catch (error) {
      this.#telemetry.warn("the circuit breaker could not record an outcome", { error, outcome });
    }
  }
}
