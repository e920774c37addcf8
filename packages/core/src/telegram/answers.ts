import { setInterval } from "node:timers/promises";
import type { Message, Update } from "grammy/types";
import { isOverBudget } from "../budget/over-budget.ts";
import type { Clock } from "../clock.ts";
import type { Conversations, ConverseRequest } from "../conversation/conversations.ts";
import type { SessionMetadata } from "../conversation/types.ts";
import { type AppError, isAppError } from "../error.ts";
import { Deadline } from "../resilience/deadline.ts";
import type { Telemetry } from "../telemetry.ts";
import { shorten } from "../text.ts";
import type { TelegramClient } from "./api.ts";
import { type Bot, ownerOf } from "./bots.ts";
import type { ChatState } from "./chat-state.ts";
import { plainParts, type RenderedPart, renderMarkdown } from "./render/index.ts";
import { type Plan, planFor } from "./routing.ts";
import { migrate, sessionOf } from "./sessions.ts";
import { overBudgetText, texts } from "./texts.ts";
import { type Tombstones, wasErasedSince } from "./tombstones.ts";
import type { Place } from "./update.ts";

const STOP_CHECK_EVERY_MS = 2_000;
/** A chat action lasts five seconds; the receiver has sent the first of a new message. */
const CHECKS_PER_TYPING = 2;
const TYPING_EVERY_MS = CHECKS_PER_TYPING * STOP_CHECK_EVERY_MS;
/** Time kept back from the model for storing and sending its answer, in milliseconds. */
const SEND_MARGIN_MS = 10_000;
const MAX_NAME_LENGTH = 64;

export type AnswersOptions = {
  bot: Bot;
  api: Pick<TelegramClient, "typing" | "raw">;
  conversations: Pick<Conversations, "converse" | "session" | "startOver" | "moveSession">;
  tombstones: Pick<Tombstones, "get">;
  chats: ChatState;
  clock: Clock;
  telemetry: Telemetry;
};

type Call = Required<Pick<ConverseRequest, "deadline" | "afterwards">> & { turnId: string };

/** What a bot says to an update: the model's words, or its own. */
export class Answers {
  readonly #options: AnswersOptions;
  readonly #owner: string;

  constructor(options: AnswersOptions) {
    this.#options = options;
    this.#owner = ownerOf(options.bot);
  }

  /** What to say; nothing for what was stopped, or has nobody to hear it. */
  async to(update: Update, message: Message, place: Place, call: Call): Promise<RenderedPart[] | undefined> {
    const { api, bot, chats } = this.#options;
    const said = { messageId: message.message_id, text: message.text ?? "", updateId: update.update_id };
    if (update.message) await chats.remember(place, said);
    else if (!(await chats.isNewsOfLast(place, said))) return undefined;
    const plan = await planFor(update, api.raw, bot);
    if (plan.kind !== "ask") return this.#say(plan, message, place, call.deadline);
    const [isForbidden, isStopped] = await Promise.all([
      chats.isForbidden(place, message.edit_date ?? message.date),
      chats.isStopped(place, update.update_id),
    ]);
    if (isForbidden || isStopped) return undefined;
    return this.#ask(plan.message, update.update_id, message, place, call);
  }

  async #say(
    plan: Exclude<Plan, { kind: "ask" }>,
    message: Message,
    place: Place,
    deadline: Deadline,
  ): Promise<RenderedPart[] | undefined> {
    switch (plan.kind) {
      case "say":
        return plainParts(plan.text);
      case "new":
        await this.#options.conversations.startOver(this.#owner, sessionOf(message.from, place));
        return plainParts(texts.new);
      case "status":
        return plainParts(await this.#status(sessionOf(message.from, place), deadline));
      case "migrate":
        await migrate(this.#options.conversations, this.#owner, place, plan.to);
        return undefined;
      case "nothing":
        return undefined;
    }
  }

  async #ask(
    text: string,
    updateId: number,
    message: Message,
    place: Place,
    { turnId, deadline, afterwards }: Call,
  ): Promise<RenderedPart[] | undefined> {
    const { api, chats, clock, conversations, telemetry } = this.#options;
    const stop = new AbortController();
    const done = new AbortController();
    const over = AbortSignal.any([done.signal, deadline.signal]);
    // It waited, comes again or is an edit: nothing is shown by now.
    if (clock.now() - message.date * 1_000 > TYPING_EVERY_MS) void api.typing(place, over);
    const watching = this.#whileWorking(place, updateId, stop, over);
    try {
      const { reply } = await conversations.converse({
        owner: this.#owner,
        turnId,
        session: sessionOf(message.from, place),
        message: withSender(text, message, this.#options.bot),
        context: contextOf(message),
        afterwards,
        deadline: new Deadline(deadline.remaining() - SEND_MARGIN_MS, {
          clock,
          signal: AbortSignal.any([stop.signal, deadline.signal]),
        }),
      });
      // Said since somebody last looked: the user has read that the answer is stopped.
      if (stop.signal.aborted || (await chats.isStopped(place, updateId))) return undefined;
      return await partsOf(reply.text);
    } catch (error) {
      if (stop.signal.aborted) return undefined;
      // Its conversation went while it was answered.
      if (
        isAppError(error) &&
        error.code === "not_found" &&
        (await wasErasedSince(this.#options.tombstones, message))
      ) {
        return undefined;
      }
      if (!isAppError(error) || !isFinal(error)) throw error;
      telemetry.warn("a message was answered with a sentence about a failure", { error });
      return plainParts(sentenceFor(error, clock.now()));
    } finally {
      done.abort();
      await watching;
    }
  }

  /** Shows that the bot works, and watches for `/stop`, until `over`. Never throws. */
  async #whileWorking(
    place: Place,
    updateId: number,
    stop: AbortController,
    over: AbortSignal,
  ): Promise<void> {
    const { api, chats } = this.#options;
    let checks = 0;
    try {
      for await (const _ of setInterval(STOP_CHECK_EVERY_MS, undefined, { signal: over })) {
        if (await chats.isStopped(place, updateId)) return stop.abort();
        checks += 1;
        // Not waited for: it never fails, and Telegram may take longer than the next look.
        if (checks % CHECKS_PER_TYPING === 0) void api.typing(place, over);
      }
    } catch {
      // The interval ends by its signal, which is how the work's end is told.
    }
  }

  async #status(session: SessionMetadata, deadline: Deadline): Promise<string> {
    const conversation = await this.#options.conversations.session(this.#owner, session, deadline);
    if (!conversation) return "No conversation is open: your next message begins one.";
    const minutes = Math.floor((this.#options.clock.now() - conversation.lastActivity) / 60_000);
    return [
      `Conversation: ${conversation.title ?? "not titled yet"}`,
      `Messages from you: ${conversation.turnCount}`,
      `Last one: ${minutes < 1 ? "just now" : `${minutes} min ago`}`,
    ].join("\n");
  }
}

/** An answer always is one: of a text in which nothing is to be seen, the text as it is, or else a sentence. */
async function partsOf(reply: string): Promise<RenderedPart[]> {
  const parts = await renderMarkdown(reply);
  if (parts.length > 0) return parts;
  const plain = plainParts(reply);
  return plain.length > 0 ? plain : plainParts(texts.failed);
}

/** In a group the model has to know who speaks; the mention of the bot itself says nothing. */
function withSender(text: string, { chat, from, sender_chat }: Message, bot: Bot): string {
  if (chat.type === "private") return text;
  const words = text.replaceAll(new RegExp(`@${bot.name}\\b`, "gi"), "").trim() || text;
  // Who speaks for a chat has a bot of Telegram's for a sender.
  const name = sender_chat?.title ?? [from?.first_name, from?.last_name].filter(Boolean).join(" ");
  // A name that closes its bracket could speak for somebody else.
  const written = shorten(name.replaceAll(/[[\]]/g, " "), MAX_NAME_LENGTH);
  return `[${written || "Somebody"}] ${words}`;
}

/** What the model should know besides the message. */
function contextOf({ chat, from }: Message): string {
  const lines = [];
  if (chat.type !== "private") {
    lines.push(
      "This is a group chat: each message begins with its sender's name in brackets. Answer without one.",
    );
  }
  const language = from?.language_code;
  if (language !== undefined && /^[A-Za-z-]{2,35}$/.test(language)) {
    lines.push(
      `The user's Telegram is set to the language "${language}"; answer in the language of the message, or in that one when in doubt.`,
    );
  }
  return lines.join("\n");
}

/** Failures that the same message would meet again. */
const FINAL = new Set([
  "invalid_argument",
  "out_of_range",
  "failed_precondition",
  "resource_exhausted",
  "already_exists",
  "not_found",
  "internal",
]);
const isFinal = ({ code }: AppError) => FINAL.has(code);

/** What other errors say concerns the operator, and is in the log. */
function sentenceFor(error: AppError, now: number): string {
  if (error.code === "out_of_range") return texts.tooLong;
  const resetsAt = error.meta["resets_at"];
  if (!isOverBudget(error) || resetsAt === undefined) return texts.failed;
  return overBudgetText(error.meta["budget"] === "user" ? "user" : "key", new Date(resetsAt), now);
}
