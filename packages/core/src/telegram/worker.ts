import type { Update } from "grammy/types";
import type { Deadline } from "../resilience/deadline.ts";
import { Answers, type AnswersOptions } from "./answers.ts";
import type { TelegramClient } from "./api.ts";
import { ownerOf } from "./bots.ts";
import { Delivery } from "./delivery.ts";
import type { Outbox, OutboxEntry } from "./outbox.ts";
import { plainParts } from "./render/index.ts";
import { migrate, userIdOf } from "./sessions.ts";
import { texts } from "./texts.ts";
import { wasErasedSince } from "./tombstones.ts";
import { type Place, placeOf } from "./update.ts";

/** After so many receives without an answer the user is told, and the message goes to the dead-letter queue. */
export const MAX_ATTEMPTS = 3;

/** A message that could not be answered; the queue keeps it as a dead letter. */
export class PoisonedError extends Error {
  override readonly name = "PoisonedError";
}

export type { Update };

export type WorkerOptions = AnswersOptions & { api: Pick<TelegramClient, "send">; outbox: Outbox };

/** Answers the queued updates of one bot: one at a time for each place, in order, each once. */
export class TelegramWorker {
  readonly #options: WorkerOptions;
  readonly #answers: Answers;
  readonly #delivery: Delivery;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#answers = new Answers(options);
    this.#delivery = new Delivery(options);
  }

  /**
   * @param receives how often the queue has handed this update out, from 1
   * @param deadline by when all has to be over, the sending included
   * @throws to get it again: when another attempt may succeed, or to have it kept as a dead letter
   */
  async handle(update: Update, receives: number, deadline: Deadline): Promise<void> {
    const message = update.message ?? update.edited_message;
    if (!message) return;
    const place = placeOf(message);
    const id = `telegram:${this.#options.bot.name}:${update.update_id}`;
    // Of an earlier attempt: its words stand, whatever the model would say now.
    const [standing, wasErased] = await Promise.all([
      this.#options.outbox.get(id),
      wasErasedSince(this.#options.tombstones, message),
    ]);
    if (wasErased) {
      this.#options.telemetry.warn("an update from before its sender was erased was dropped", {});
      return;
    }
    if (standing) return this.#deliver(standing, false, place, deadline);
    const exhausted = receives > MAX_ATTEMPTS;
    if (exhausted && (await this.#options.chats.isStopped(place, update.update_id))) return;
    const rest: Promise<void>[] = [];
    const afterwards = (work: Promise<void>) => void rest.push(work);
    try {
      const given = exhausted
        ? plainParts(texts.failed)
        : await this.#answers.to(update, message, place, { turnId: id, deadline, afterwards });
      if (given && given.length > 0) {
        const replyTo = message.chat.type === "private" ? undefined : message.message_id;
        const parts = given.map((part) => ({ ...part, state: "pending" as const }));
        const { entry, created } = await this.#options.outbox.open({
          id,
          place,
          userId: userIdOf(message.from),
          replyTo,
          parts,
        });
        await this.#deliver(entry, created, place, deadline);
      }
    } finally {
      await Promise.all(rest);
    }
    if (exhausted) throw new PoisonedError(`no answer after ${MAX_ATTEMPTS} attempts`);
  }

  async #deliver(entry: OutboxEntry, ours: boolean, place: Place, deadline: Deadline): Promise<void> {
    const { bot, chats, clock, conversations, telemetry } = this.#options;
    const { forbidden, migratedTo } = await telemetry.step("delivery", () =>
      this.#delivery.deliver(entry, ours, deadline),
    );
    if (migratedTo !== undefined) await migrate(conversations, ownerOf(bot), place, migratedTo);
    if (!forbidden) return;
    telemetry.count("TelegramForbidden");
    await chats.forbid(place, Math.floor(clock.now() / 1000));
  }
}
