import { BotApiError, badRequest, forbidden, tooManyRequests } from "./api-error.ts";
import { createChance } from "./chance.ts";

/**
 * `too_many_requests`, `blocked`, `cant_parse_entities`, `chat_not_found`, `migrated`, `bad_gateway` answer with the
 * error. `hang` never answers; `slow` waits, then does as asked. `request_lost` breaks the connection before the
 * method is executed, `answer_lost` after.
 */
export const FAULT_KINDS = [
  ...(["too_many_requests", "blocked", "cant_parse_entities", "chat_not_found", "migrated"] as const),
  ...(["bad_gateway", "hang", "slow", "request_lost", "answer_lost"] as const),
];
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Something to go wrong with calls of the Bot API. */
export type Fault = {
  kind: FaultKind;
  /** Only this bot's calls, by username. */
  bot?: string;
  /** Only this method; case does not matter. */
  method?: string;
  /** Only calls about this chat. */
  chat?: number;
  /** Only calls whose text contains this. */
  text?: string;
  /** How many times it strikes; until it is cleared by default. */
  count?: number;
  /** Of each matching call, 1 by default; decided by `seed`, the chat and the how manieth call it is in that chat. */
  probability?: number;
  seed?: number;
  /** `too_many_requests`: in seconds, 3 by default. */
  retry_after?: number;
  /** `slow`: in simulated seconds, 1 by default. */
  delay_seconds?: number;
  /** `migrated`: where to. */
  migrate_to_chat_id?: number;
  /** `bad_gateway` and `hang`: whether the method is executed all the same; it is not by default. */
  executed?: boolean;
};

export type Call = { bot: string; method: string; chat: number | undefined; text: string };

export type Faults = {
  /** Returns its id. */
  add(fault: Fault): number;
  /** The first fault that strikes this call, counted as used. */
  take(call: Call): Fault | undefined;
  list(): (Fault & { id: number; struck: number })[];
  remove(id: number): void;
  clear(): void;
};

type Entry = { id: number; fault: Fault; struck: number; chance(subject: string): number };

export function createFaults(): Faults {
  let entries: Entry[] = [];
  let lastId = 0;
  return {
    add(fault) {
      if (!FAULT_KINDS.includes(fault.kind)) {
        throw new TypeError(`kind must be one of ${FAULT_KINDS.join(", ")}`);
      }
      lastId += 1;
      entries.push({ id: lastId, fault, struck: 0, chance: createChance(fault.seed ?? 1) });
      return lastId;
    },
    take(call) {
      const entry = entries.find((each) => matches(each.fault, call) && strikes(each, call));
      if (entry === undefined) return undefined;
      entry.struck += 1;
      return entry.fault;
    },
    list: () => entries.map(({ id, fault, struck }) => ({ ...fault, id, struck })),
    remove(id) {
      entries = entries.filter((each) => each.id !== id);
    },
    clear() {
      entries = [];
    },
  };
}

function matches({ bot, method, chat, text }: Fault, call: Call): boolean {
  if (bot !== undefined && bot !== call.bot) return false;
  if (method !== undefined && method.toLowerCase() !== call.method.toLowerCase()) return false;
  if (chat !== undefined && chat !== call.chat) return false;
  return text === undefined || call.text.includes(text);
}

function strikes({ fault, struck, chance }: Entry, { method, chat }: Call): boolean {
  if (struck >= (fault.count ?? Number.POSITIVE_INFINITY)) return false;
  return fault.probability === undefined || chance(`${method} ${chat ?? ""}`) < fault.probability;
}

/** What a fault answers with, if it answers with an error. */
export function errorOf({ kind, retry_after = 3, migrate_to_chat_id = 0 }: Fault): BotApiError | undefined {
  switch (kind) {
    case "too_many_requests":
      return tooManyRequests(retry_after);
    case "blocked":
      return forbidden("bot was blocked by the user");
    case "cant_parse_entities":
      return badRequest("can't parse entities: Can't find end of the entity starting at byte offset 0");
    case "chat_not_found":
      return badRequest("chat not found");
    case "migrated":
      return badRequest("group chat was upgraded to a supergroup chat", { migrate_to_chat_id });
    case "bad_gateway":
      return new BotApiError(502, "Bad Gateway");
    default:
      return undefined;
  }
}
