import type { Spender } from "../budget/budgets.ts";
import { isOverBudget } from "../budget/over-budget.ts";
import { type Clock, Pause } from "../clock.ts";
import { isAppError } from "../error.ts";
import type { Deadline } from "../resilience/deadline.ts";
import type { Telemetry } from "../telemetry.ts";
import { truncate } from "../text.ts";
import {
  estimateItems,
  estimateTokens,
  type PastTurn,
  type Summary,
  summaryItem,
  weightOf,
  wordsThatFit,
} from "./context-window.ts";
import type { Models } from "./models.ts";
import { summaryPrompt } from "./prompts.ts";

/** Shares of the window's room: above the first a summary is due, and it leaves no more turns than the second holds. */
const DUE_ABOVE = 0.75;
const LEAVES = 0.25;
/** The same of the turns that are loaded, for turns may be so short that the window is never full. */
const DUE_ABOVE_LOADED = 0.75;
const LEAVES_LOADED = 0.5;
/** A summary's share of the room, and what it weighs at the most: it is written with every turn's head. */
const SUMMARY_SHARE = 0.25;
const MAX_SUMMARY_TOKENS = 1_000;
/** With less there is nothing to be said in a summary. */
const MIN_SUMMARY_TOKENS = 80;
const TOKENS_PER_WORD = 1.5;
/** The lines around the transcript. */
const MARKS_TOKENS = 20;
const TIMEOUT_MS = 15_000;
/** After a failure an instance asks for no summary for so long: a model that fails is not asked twice a turn. */
const PAUSE_MS = 60_000;

export type NumberedTurn = PastTurn & {
  seq: number;
  /** Somebody is still answering it: what it comes to is not known. */
  inProgress: boolean;
};

/** What a turn has loaded of its conversation. */
export type ToSummarise = {
  platform: string;
  summary: Summary | undefined;
  /** The newest turns, oldest first. */
  turns: readonly NumberedTurn[];
  /** How many are loaded at the most. */
  loaded: number;
  /** Turns after `seq`, oldest first: asked for when there are turns that are neither in the summary nor loaded. */
  turnsAfter: (seq: number) => Promise<readonly NumberedTurn[]>;
  /** Whose message is being answered. */
  spender: Spender;
  deadline: Deadline;
};

/**
 * Summaries of what no longer fits a conversation's window. One takes in many turns, so that the next is not due before
 * about half a window of new ones.
 */
export class Summaries {
  readonly #models: Pick<Models, "open">;
  readonly #room: (platform: string) => number;
  readonly #maxContextTokens: number;
  readonly #telemetry: Telemetry;
  readonly #pause: Pause;

  constructor(options: {
    models: Pick<Models, "open">;
    /** Tokens that a platform's window has for what was said. */
    room: (platform: string) => number;
    maxContextTokens: number;
    clock: Clock;
    telemetry: Telemetry;
  }) {
    this.#models = options.models;
    this.#room = options.room;
    this.#maxContextTokens = options.maxContextTokens;
    this.#pause = new Pause(options.clock);
    this.#telemetry = options.telemetry;
  }

  /**
   * The next summary; undefined when none is due. One request to the model, a second when that is too
   * long for it, and no retries: a later turn tries again.
   * @throws UpstreamError, AppError when the model gave none
   */
  async next(past: ToSummarise): Promise<Summary | undefined> {
    const room = this.#room(past.platform);
    const limit = Math.min(MAX_SUMMARY_TOKENS, Math.floor(room * SUMMARY_SHARE));
    if (limit < MIN_SUMMARY_TOKENS || this.#pause.left() > 0) return undefined;
    const older = await this.#due(past, room);
    const upToSeq = older.at(-1)?.seq;
    if (upToSeq === undefined) return undefined;
    try {
      return await this.#telemetry.step("summary", () => this.#write(past, older, limit));
    } catch (error) {
      // A spent budget is one spender's, and not the model's failure.
      if (!isOverBudget(error)) this.#pause.begin(PAUSE_MS);
      throw error;
    }
  }

  async #due({ summary, turns, loaded, turnsAfter }: ToSummarise, room: number) {
    const upToSeq = summary?.upToSeq ?? 0;
    const rest = turns.filter(({ seq }) => seq > upToSeq);
    const first = rest[0]?.seq ?? 0;
    // What was not summarised in time is out of the window already, and not lost.
    const missed = first > upToSeq + 1 ? (await turnsAfter(upToSeq)).filter(({ seq }) => seq < first) : [];
    return upToTheFirstInProgress(missed.length > 0 ? missed : oldestOf(rest, summary, { room, loaded }));
  }

  async #write(
    { summary, spender, deadline }: ToSummarise,
    older: readonly NumberedTurn[],
    limit: number,
  ): Promise<Summary> {
    const words = Math.floor(limit / TOKENS_PER_WORD);
    const instructions = `${summaryPrompt.text} Use at most ${words} words.`;
    const budget = this.#maxContextTokens - estimateTokens(instructions) - MARKS_TOKENS;
    const ask = this.#models.open({ spender, deadline: deadline.part(TIMEOUT_MS), maxRetries: 0 });
    const askWithin = async (tokens: number): Promise<Summary> => {
      const { content, upToSeq } = transcript(summary, older, tokens);
      const { text } = await ask({
        instructions,
        items: [{ type: "message", role: "user", content }],
        tools: [],
        toolChoice: "none",
      });
      if (!text.trim()) throw new Error("the model gave an empty summary");
      return { ...cutToFit(text.trim(), limit), upToSeq };
    };
    return askWithin(budget).catch((error: unknown) => {
      if (!isAppError(error, "out_of_range")) throw error;
      // What the model takes is less than MAX_CONTEXT_TOKENS: fewer turns at once.
      return askWithin(Math.floor(budget / 2));
    });
  }
}

/** The turns that a summary should take in now: none while what is left beside it has room. */
function oldestOf(
  turns: readonly NumberedTurn[],
  summary: Summary | undefined,
  { room, loaded }: { room: number; loaded: number },
): readonly NumberedTurn[] {
  let tokens = turns.reduce((sum, turn) => sum + weightOf(turn), 0);
  const full = tokens + (summary?.tokens ?? 0) > DUE_ABOVE * room || turns.length > DUE_ABOVE_LOADED * loaded;
  if (!full) return [];
  let taken = 0;
  // The newest stays: the next message may be about its very words.
  for (const turn of turns.slice(0, -1)) {
    if (tokens <= LEAVES * room && turns.length - taken <= LEAVES_LOADED * loaded) break;
    tokens -= weightOf(turn);
    taken += 1;
  }
  return turns.slice(0, taken);
}

function upToTheFirstInProgress(turns: readonly NumberedTurn[]): readonly NumberedTurn[] {
  const at = turns.findIndex(({ inProgress }) => inProgress);
  return at < 0 ? turns : turns.slice(0, at);
}

/**
 * The summary so far and the words of as many turns as fit `budget`, at least one, a JSON object a line: no message can
 * pass for another's, nor for the end of the data. Tool calls and their results stay out: the reply says what came of
 * them.
 */
function transcript(summary: Summary | undefined, turns: readonly NumberedTurn[], budget: number) {
  const lines = summary ? [lineOf({ summary_so_far: summary.text })] : [];
  let left = budget - weightOfLines(lines);
  let upToSeq = 0;
  for (const turn of turns) {
    const whole = linesOf(turn);
    if (weightOfLines(whole) > left && upToSeq > 0) break;
    const fitted = weightOfLines(whole) > left ? linesThatFit(turn, left) : whole;
    left -= weightOfLines(fitted);
    lines.push(...fitted);
    upToSeq = turn.seq;
  }
  return { content: ["<conversation>", ...lines, "</conversation>"].join("\n"), upToSeq };
}

const linesOf = ({ message, reply }: Pick<PastTurn, "message" | "reply">) => [
  lineOf({ user: message }),
  ...(reply === undefined ? [] : [lineOf({ assistant: reply })]),
];

const lineOf = (value: Record<string, string>) => JSON.stringify(value).replaceAll("<", "\\u003c");

const weightOfLines = (lines: readonly string[]) =>
  lines.reduce((sum, line) => sum + estimateTokens(line), 0);

/** A turn that is too big even alone, its texts cut: shorter than they would have to be, for JSON's escapes take room. */
function linesThatFit(turn: NumberedTurn, budget: number): string[] {
  for (let room = budget; room > 0; room = Math.floor(room / 2)) {
    const [message, reply] = wordsThatFit(turn, room).map((item) =>
      item.type === "message" ? item.content : "",
    );
    const lines = message === undefined ? [] : linesOf({ message, reply });
    if (weightOfLines(lines) <= budget) return lines;
  }
  return [];
}

function cutToFit(text: string, limit: number): Pick<Summary, "text" | "tokens"> {
  for (let length = text.length; ; length = Math.floor(length * 0.9)) {
    const cut = truncate(text, length);
    const tokens = estimateItems([summaryItem({ text: cut })]);
    if (tokens <= limit || length === 0) return { text: cut, tokens };
  }
}
