import { setTimeout } from "node:timers/promises";
import { type Deadline, deadlineExceeded } from "../resilience/deadline.ts";
import type { Telemetry } from "../telemetry.ts";
import type { SendOutcome, TelegramApi } from "./api.ts";
import type { Outbox, OutboxEntry, OutboxPart, PartState } from "./outbox.ts";
import type { Place } from "./update.ts";

/** A send is not begun with less time left than this, in milliseconds: cut off, nobody would know what became of it. */
const MIN_SEND_MS = 1_000;

/** What the delivery found out about the chat. */
export type Delivered = { forbidden: boolean; migratedTo?: number };

/** There is no time left to send the rest; nothing of it was sent, and the queue is to bring the message again. */
export class DeliveryPostponedError extends Error {
  override readonly name = "DeliveryPostponedError";
  readonly retryAfterS: number;

  constructor(retryAfterS: number) {
    super(`the rest of the answer is to be sent in ${retryAfterS} s`);
    this.retryAfterS = retryAfterS;
  }
}

/**
 * Says what an outbox entry holds, part by part, each at most once.
 *
 *   worker A: settle(0 sent, 1 sending) -> send(1) -> dies
 *   worker B: finds 1 sending -> uncertain, counted, never sent again -> 2 sending -> send(2)
 */
export class Delivery {
  readonly #outbox: Outbox;
  readonly #api: Pick<TelegramApi, "send">;
  readonly #telemetry: Pick<Telemetry, "count" | "warn">;

  constructor(options: {
    outbox: Outbox;
    api: Pick<TelegramApi, "send">;
    telemetry: Pick<Telemetry, "count" | "warn">;
  }) {
    this.#outbox = options.outbox;
    this.#api = options.api;
    this.#telemetry = options.telemetry;
  }

  /**
   * @param ours whether part 0 is `sending` by this worker, which has just opened the entry
   * @throws DeliveryPostponedError, or the outbox's failure
   */
  async deliver(entry: OutboxEntry, ours: boolean, deadline: Deadline): Promise<Delivered> {
    const delivered: Delivered = { forbidden: false };
    let place = entry.place;
    let held = ours;
    for (const [index, part] of entry.parts.entries()) {
      const { state } = part;
      if (!held && state !== "pending" && state !== "sending") continue;
      if (!held && state === "pending" && !(await this.#outbox.take(entry.id, index))) return delivered;
      let said: SendOutcome;
      if (!held && state === "sending") said = { outcome: "uncertain", reason: "a worker died" };
      else if (delivered.forbidden) said = { outcome: "forbidden" };
      else said = await this.#say(entry, index, place, deadline);
      if (said.outcome === "migrated") {
        delivered.migratedTo = said.to;
        place = { ...place, chat: said.to };
        said = await this.#say(entry, index, place, deadline);
      }
      delivered.forbidden ||= said.outcome === "forbidden";
      this.#tell(said);
      held = entry.parts[index + 1]?.state === "pending";
      if (!(await this.#outbox.settle(entry.id, index, stateAfter(said), held))) return delivered;
    }
    return delivered;
  }

  async #say(entry: OutboxEntry, index: number, place: Place, deadline: Deadline): Promise<SendOutcome> {
    let part: Pick<OutboxPart, "text" | "entities"> = entry.parts[index] as OutboxPart;
    for (;;) {
      if (deadline.remaining() < MIN_SEND_MS) await this.#postpone(entry.id, index, 1);
      const replyTo = index === 0 ? entry.replyTo : undefined;
      const said = await this.#api.send({ place, part, replyTo }, deadline.signal);
      if (said.outcome === "later") {
        await this.#wait(said.retryAfterS, entry.id, index, deadline);
      } else if (said.outcome === "unparseable" && part.entities.length > 0) {
        // Nothing was sent. Without its entities it is plain text, which cannot fail to parse.
        this.#telemetry.count("TelegramPlainFallbacks");
        part = { text: part.text, entities: [] };
      } else {
        return said;
      }
    }
  }

  async #wait(seconds: number, id: string, index: number, deadline: Deadline): Promise<void> {
    this.#telemetry.count("TelegramThrottled");
    if (seconds * 1_000 + MIN_SEND_MS >= deadline.remaining()) await this.#postpone(id, index, seconds);
    await setTimeout(seconds * 1_000, undefined, { signal: deadline.signal }).catch((cause: unknown) => {
      throw deadlineExceeded(cause);
    });
  }

  /** Gives the part back, for it was not sent. */
  async #postpone(id: string, index: number, seconds: number): Promise<never> {
    await this.#outbox.settle(id, index, "pending", false);
    throw new DeliveryPostponedError(seconds);
  }

  #tell(said: SendOutcome) {
    if (said.outcome === "sent") this.#telemetry.count("TelegramSends");
    if (said.outcome === "uncertain") this.#telemetry.count("TelegramUncertainSends");
    if (said.outcome === "refused") this.#telemetry.count("TelegramRefusedSends");
    if (said.outcome === "uncertain" || said.outcome === "refused") {
      this.#telemetry.warn("a part was not surely delivered", { outcome: said.outcome, reason: said.reason });
    }
  }
}

function stateAfter({ outcome }: SendOutcome): Exclude<PartState, "sending"> {
  return outcome === "sent" || outcome === "uncertain" ? outcome : "dropped";
}
