import { COOLDOWN_S, MAX_FAILURES } from "./limits.ts";
import type { Transition } from "./recorder.ts";

const PROVIDER = "weatherapi";
const COOLDOWN_MS = COOLDOWN_S * 1_000;
/** Of a probe: twice the time limit of a call. */
const LEASE_MS = 6_000;
/** Between Redis's clock and ours, and its whole milliseconds. */
const CLOCKS_MS = 25;
/** For those that ask to get round to it. */
const SLACK_MS = 2_500;

const RECOVERY_MS = COOLDOWN_MS + LEASE_MS + SLACK_MS;

export const isOverdue = (since: number) => performance.now() > since + RECOVERY_MS;

/** Undefined while it may still come back in time: open for the cooldown, then for the lease of a probe that died. */
export function recoversLate(transitions: readonly Transition[], since: number): string[] | undefined {
  const isClosed = ({ provider, reply, doneAt }: Transition) =>
    provider === PROVIDER && reply[0] === "closed" && doneAt > since;
  if (transitions.some(isClosed)) return [];
  if (!isOverdue(since)) return undefined;
  return [`breaker recovers: the circuit was not closed ${RECOVERY_MS} ms after its provider was well again`];
}

export const hasOpened = (transitions: readonly Transition[], since: number) =>
  transitions.some((each) => each.provider === PROVIDER && isOpening(each) && each.doneAt > since);

type Heard = {
  transitions: readonly Transition[];
  /** Requests to the provider. */
  calls: number;
  /** Calls, to any provider, that were let through without the circuit's state. */
  blind: number;
};

/** What the circuit did, held against what it is to do. Redis must have kept its state all the time. */
export function checkBreaker({ transitions, calls, blind }: Heard): string[] {
  const own = transitions.filter(({ provider }) => provider === PROVIDER);
  const granted = own.filter(({ op, reply }) => op === "acquire" && reply[0] !== "refused");
  return [
    ...checkCalls(granted.length + blind, calls),
    ...checkProbes(granted.filter(isProbe), own),
    ...own.filter(isOpening).flatMap((opening) => checkOpening(opening, own)),
  ];
}

const isProbe = ({ reply }: Transition) => reply[0] === "half_open";
const isOpening = ({ op, reply }: Transition) => op === "settle" && reply[0] === "open";
const isFailure = ({ op, outcome }: Transition) => op === "settle" && outcome === "failure";

/** Nobody calls without having been let. */
function checkCalls(granted: number, calls: number): string[] {
  return calls <= granted ? [] : [`breaker exact: ${calls} calls, and ${granted} were let through`];
}

/** One probe in each half-open state, not before the cooldown, or the lease of the probe before it, is over. */
function checkProbes(probes: readonly Transition[], own: readonly Transition[]): string[] {
  return probes.flatMap((probe) => {
    const generation = Number(probe.reply[1]);
    const rivals = new Set(
      probes.filter(({ reply }) => reply[1] === probe.reply[1]).map(({ attempt }) => attempt),
    );
    if (rivals.size > 1) return [`breaker exact: ${rivals.size} probes at once in generation ${generation}`];
    const before = probes.find(({ reply }) => Number(reply[1]) === generation - 1);
    const opening = own.find((each) => isOpening(each) && Number(each.generation) === generation - 2);
    const since = before ?? opening;
    if (!since) return [];
    const waited = probe.doneAt - since.askedAt;
    const least = before ? LEASE_MS : COOLDOWN_MS;
    // A probe that ended with nothing said of the provider frees the circuit at once.
    const isFreed =
      before &&
      own.some(
        ({ op, attempt, outcome }) => op === "settle" && attempt === before.attempt && outcome === "neutral",
      );
    if (isFreed || waited >= least - CLOCKS_MS) return [];
    return [`breaker exact: a probe after ${Math.round(waited)} ms, and not after ${least} ms`];
  });
}

/** At the failure that is one too many, neither before nor after. */
function checkOpening(opening: Transition, own: readonly Transition[]): string[] {
  if (own.some((each) => isProbe(each) && each.attempt === opening.attempt)) return [];
  const failures = own.filter((each) => isFailure(each) && each.generation === opening.generation);
  // One that Redis was told twice counts once.
  const attempts = (own: readonly Transition[]) => new Set(own.map(({ attempt }) => attempt)).size;
  const sooner = attempts(failures.filter(({ doneAt }) => doneAt < opening.askedAt));
  const atMost = attempts(failures.filter(({ askedAt }) => askedAt <= opening.doneAt));
  if (sooner < MAX_FAILURES && atMost >= MAX_FAILURES) return [];
  return [`breaker exact: opened after ${sooner + 1} to ${atMost} failures instead of ${MAX_FAILURES}`];
}
