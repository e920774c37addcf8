import type { BotApiControl } from "@parley/local/telegram/control";
import type { Sending } from "@parley/local/telegram/people";
import type { Message } from "@parley/local/telegram/types";

/** Somebody in a chat with the bot. */
export type Speaker = {
  chat: number;
  /** The person's id. */
  from: number;
  /** Says it in the chat; resolves when it was said. */
  say(sending: string | Sending): Promise<Message>;
  /** Says it, and resolves with the bot's next message there. */
  ask(sending: string | Sending): Promise<Message>;
  /** The bot's messages there, as they are now. */
  heard(): Promise<Message[]>;
};

/** People of a local Telegram, by where they speak: in a chat, or in a forum's topic. */
export function speakers(control: BotApiControl) {
  return function speaker({ chat, from, thread }: { chat: number; from: number; thread?: number }): Speaker {
    const where = { chat, ...(thread === undefined ? {} : { message_thread_id: thread }) };
    const toSending = (sending: string | Sending) => ({
      ...(typeof sending === "string" ? { text: sending } : sending),
      ...where,
      from,
    });
    return {
      chat,
      from,
      say: (sending) => control.send(toSending(sending)),
      async ask(sending) {
        const { next: after } = await control.events({ chat });
        await control.send(toSending(sending));
        return (await control.waitForMessage({ ...where, after, timeout_ms: 20_000 })).message;
      },
      async heard() {
        const { messages } = await control.transcript({ chat });
        return messages.filter(
          ({ from, message_thread_id }) =>
            from.is_bot && (thread === undefined || message_thread_id === thread),
        );
      },
    };
  };
}
