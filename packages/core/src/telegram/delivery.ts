import { setTimeout } from "node:timers/promises";
import { type Deadline, deadlineExceeded } from "../resilience/deadline.ts";
import type { Telemetry } from "../telemetry.ts";
import type { SendOutcome, TelegramApi } from "./api.ts";
import type { Outbox, OutboxEntry, OutboxPart, PartState } from "./outbox.ts";

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
   * @throws DeliveryPostponedError, AppError deadline_exceeded, or the outbox's failure
   */
  async deliver(entry: OutboxEntry, ours: boolean, deadline: Deadline): Promise<Delivered> {
    const delivered: Delivered = { forbidden: false };
    let held = ours;
    for (const [index, { state }] of entry.parts.entries()) {
      if (!held && state !== "pending" && state !== "sending") continue;
      if (!held && state === "pending" && !(await this.#outbox.take(entry.id, index))) return delivered;
      const said =
        !held && state === "sending" ? LEFT_ALONE : await this.#say(entry, index, delivered, deadline);
      if (!said) return delivered;
      this.#tell(said);
      held = entry.parts[index + 1]?.state === "pending";
      if (!(await this.#outbox.settle(entry.id, index, stateAfter(said), held))) return delivered;
    }
    return delivered;
  }

  /** Undefined: somebody else says it. */
  async #say(
    entry: OutboxEntry,
    index: number,
    delivered: Delivered,
    deadline: Deadline,
  ): Promise<SendOutcome | undefined> {
    let part: Pick<OutboxPart, "text" | "entities"> = entry.parts[index] as OutboxPart;
    while (!delivered.forbidden) {
      if (deadline.remaining() < MIN_SEND_MS) {
        await this.#outbox.settle(entry.id, index, "pending", false);
        throw new DeliveryPostponedError(1);
      }
      const said = await this.#api.send({ ...addressOf(entry, index, delivered), part }, deadline.signal);
      if (said.outcome === "later") {
        if (!(await this.#wait(said.retryAfterS, entry.id, index, deadline))) return undefined;
      } else if (said.outcome === "unparseable" && part.entities.length > 0) {
        // Nothing was sent. Without its entities it is plain text, which cannot fail to parse.
        this.#telemetry.count("TelegramPlainFallbacks");
        part = { text: part.text, entities: [] };
      } else if (said.outcome === "migrated" && delivered.migratedTo === undefined) {
        delivered.migratedTo = said.to;
      } else {
        delivered.forbidden = said.outcome === "forbidden";
        return said;
      }
    }
    return { outcome: "forbidden" };
  }

  /** Nothing was sent: while we wait, the part is nobody's. False: somebody else has taken it meanwhile. */
  async #wait(seconds: number, id: string, index: number, deadline: Deadline): Promise<boolean> {
    this.#telemetry.count("TelegramThrottled");
    if (!(await this.#outbox.settle(id, index, "pending", false))) return false;
    if (seconds * 1_000 + MIN_SEND_MS >= deadline.remaining()) throw new DeliveryPostponedError(seconds);
    await setTimeout(seconds * 1_000, undefined, { signal: deadline.signal }).catch((cause: unknown) => {
      throw deadlineExceeded(cause);
    });
    return this.#outbox.take(id, index);
  }

  #tell(said: SendOutcome) {
    const { outcome } = said;
    if (outcome === "forbidden") return;
    if (outcome === "sent") return this.#telemetry.count("TelegramSends");
    this.#telemetry.count(outcome === "uncertain" ? "TelegramUncertainSends" : "TelegramRefusedSends");
    const reason = "reason" in said ? said.reason : undefined;
    this.#telemetry.warn("a part was not surely delivered", { outcome, reason });
  }
}

const LEFT_ALONE: SendOutcome = { outcome: "uncertain", reason: "a worker died" };

function addressOf({ place, replyTo }: OutboxEntry, index: number, { migratedTo }: Delivered) {
  // In the new chat another message has that number.
  if (migratedTo !== undefined) return { place: { ...place, chat: migratedTo } };
  return { place, replyTo: index === 0 ? replyTo : undefined };
}

function stateAfter({ outcome }: SendOutcome): Exclude<PartState, "sending"> {
  return outcome === "sent" || outcome === "uncertain" ? outcome : "dropped";
}
