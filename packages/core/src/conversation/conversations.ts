import type { TitleCache } from "../assistant/title-cache.ts";
import type { Clock } from "../clock.ts";
import { AppError } from "../error.ts";
import type { Deadline } from "../resilience/deadline.ts";
import type { Sessions } from "../session/sessions.ts";
import { notFound } from "./begin-turn.ts";
import type { ConversationStore, Page, PageRequest } from "./conversation-store.ts";
import { type ChatMessage, messagePage, messagesOf } from "./messages.ts";
import { type Ask, type TurnResult, Turns, type TurnsOptions } from "./turns.ts";
import type { Conversation, SessionMetadata } from "./types.ts";

const EXPORTED_AT_ONCE = 100;
/** Lambda answers with 6 MB at the most, and carries the document as a string of JSON: what is escaped is so twice. */
const MAX_EXPORT_BYTES = 4_500_000;

export type StartRequest = Ask & { session?: SessionMetadata | undefined };
export type ContinueRequest = Ask & { conversationId: string };
export type ConverseRequest = Ask & { session: SessionMetadata };

/** What is done with conversations, by their owners. All throw AppError. */
export class Conversations {
  readonly #store: ConversationStore;
  readonly #sessions: Pick<Sessions, "activeSince" | "forget">;
  readonly #turns: Turns;
  readonly #titleCache: Pick<TitleCache, "forget">;
  readonly #clock: Clock;

  constructor(options: TurnsOptions & { titleCache: Pick<TitleCache, "forget"> }) {
    this.#store = options.store;
    this.#sessions = options.sessions;
    this.#turns = new Turns(options);
    this.#titleCache = options.titleCache;
    this.#clock = options.clock;
  }

  /** A new conversation; with a session, its chat is in it from now on. */
  start({ session, ...ask }: StartRequest): Promise<TurnResult> {
    return this.#turns.serve({ kind: "new", platform: session?.platform ?? "api", session }, ask);
  }

  /** The next turn of a conversation. @throws AppError not_found, for another owner's too */
  continue({ conversationId, ...ask }: ContinueRequest): Promise<TurnResult> {
    return this.#turns.serve({ kind: "conversation", id: conversationId }, ask);
  }

  /** The next turn of the conversation that the chat is in, or the first of a new one. */
  converse({ session, ...ask }: ConverseRequest): Promise<TurnResult> {
    return this.#turns.serve({ kind: "session", session }, ask);
  }

  /** The conversation that a chat is in. From the store: Redis may remember one that the chat has left. */
  async session(
    owner: string,
    session: SessionMetadata,
    { signal }: Deadline,
  ): Promise<Conversation | undefined> {
    const since = this.#sessions.activeSince();
    const id = await this.#store.sessionConversation(owner, session, since, signal);
    const head = id === undefined ? undefined : await this.#store.load(id, 0, signal);
    return head?.conversation.owner === owner ? head.conversation : undefined;
  }

  /** The chat's next message begins a new conversation. */
  async startOver(owner: string, session: SessionMetadata): Promise<void> {
    await this.#store.leaveSession(owner, session, this.#clock.now());
    await this.#sessions.forget(owner, session);
  }

  /** The chat goes on under another id, its conversation with it. */
  moveSession(owner: string, from: SessionMetadata, to: SessionMetadata): Promise<void> {
    return this.#store.moveSession(owner, from, to);
  }

  /** The owner's conversations, newest activity first. */
  list(owner: string, page: PageRequest): Promise<Page<Conversation>> {
    return this.#store.list(owner, page);
  }

  /** A conversation and a page of its messages, oldest first. @throws AppError not_found, for another owner's too */
  async describe(
    owner: string,
    id: string,
    page: PageRequest,
  ): Promise<{ conversation: Conversation; messages: Page<ChatMessage> }> {
    const [head, messages] = await Promise.all([this.#store.load(id, 0), messagePage(this.#store, id, page)]);
    if (head?.conversation.owner !== owner) throw notFound();
    return { conversation: head.conversation, messages };
  }

  /**
   * A whole conversation. @throws AppError not_found, for another owner's too; out_of_range when it is more than one
   * response can carry
   */
  async export(
    owner: string,
    id: string,
    deadline: Deadline,
  ): Promise<{ conversation: Conversation; messages: ChatMessage[] }> {
    const head = await this.#store.load(id, 0, deadline.signal);
    if (head?.conversation.owner !== owner) throw notFound();
    const messages: ChatMessage[] = [];
    let bytes = 0;
    for (let seq = 0, more = true; more; ) {
      const page = await this.#store.turnsAfter(id, seq, EXPORTED_AT_ONCE, deadline.signal);
      const read = page.turns.flatMap(messagesOf);
      bytes += Buffer.byteLength(JSON.stringify(JSON.stringify(read)));
      if (bytes > MAX_EXPORT_BYTES) {
        throw new AppError(
          "out_of_range",
          "The conversation is too long for one document: read it page by page.",
        );
      }
      messages.push(...read);
      seq = page.turns.at(-1)?.seq ?? seq;
      more = page.more;
    }
    return { conversation: head.conversation, messages };
  }

  /** Erases a conversation and whatever leads to it. @throws AppError not_found, for another owner's too */
  async delete(owner: string, id: string, deadline: Deadline): Promise<void> {
    const erased = await this.#store.erase(owner, id, deadline.signal);
    if (!erased) throw notFound();
    await Promise.all([
      ...erased.chats.map((chat) => this.#sessions.forget(owner, chat)),
      this.#titleCache.forget(erased.opening),
    ]);
  }
}
