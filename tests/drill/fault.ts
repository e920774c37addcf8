import type { Engine, Passing } from "./passing.ts";
import type { Stage } from "./stage.ts";
import type { Traffic, Wave } from "./traffic.ts";
import type { Strike } from "./wire.ts";

export type Drill = {
  stage: Stage;
  traffic: Traffic;
  seed: number;
  /** By the seed, the fault, whom it is about and how often that was asked: never by the order of things. */
  draw: (subject: string) => number;
};

type Lift = () => void | Promise<void>;

/** Something that goes wrong while the conversations go on. */
export type Fault = Partial<Pick<Wave, "messages" | "weather" | "limitMs">> & {
  name: string;
  /** Begins it; returns what ends it. */
  inject(drill: Drill): Lift | Promise<Lift>;
  /** How long it lasts, in milliseconds. Default 2,500. */
  lastsMs?: number;
  /** And until it has struck so often. */
  strikes?: number;
  /** The circuits' state in Redis was out of reach or is lost: breakers fail open, and are not exact then. */
  redis?: true;
  /** Instances are stopped for longer than a call of the model may take: what it came to may be told too late. */
  stops?: true;
  /** Why it cannot be had here. */
  missing?(drill: Drill): string | undefined;
  /** Checked from its end on, while the last turns are answered: what does not hold. */
  after?(drill: Drill): Promise<string[]>;
};

/** An update of Telegram's is tried three times, and then given up. */
const MOST_A_TURN = 2;

/** Strikes a share of an engine's requests, of those that `of` picks. */
export function share(
  { stage, draw }: Drill,
  engine: Engine,
  probability: number,
  strike: Strike | ((passing: Passing) => Strike),
  of: (passing: Passing) => boolean = () => true,
): () => void {
  const kind = typeof strike === "function" ? "made" : strike.kind;
  const struck = new Map<string, number>();
  return stage.wire.rule((passing) => {
    if (passing.engine !== engine || !of(passing)) return undefined;
    const { turn = "", operation } = passing;
    if (draw(`${kind} ${engine} ${operation} ${turn}`) >= probability) return undefined;
    const times = (struck.get(turn) ?? 0) + 1;
    if (turn !== "" && times > MOST_A_TURN) return undefined;
    struck.set(turn, times);
    return typeof strike === "function" ? strike(passing) : strike;
  });
}

export const all =
  (...lifts: (() => void | Promise<void>)[]): Lift =>
  async () =>
    void (await Promise.all(lifts.map((lift) => lift())));
