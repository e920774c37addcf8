/** A bot of this deployment. `name` is its username without the @, and the last part of its webhook's path. */
export type Bot = { name: string; token: string; id: number };

/** Who may talk to the bots; an empty list lets everybody. Telegram's ids; those of groups are negative. */
export type AllowList = { users: ReadonlySet<number>; chats: ReadonlySet<number> };

/** Whose a bot's conversations are. No API key can have this id: theirs hold no colon. */
export const ownerOf = (bot: Pick<Bot, "name">) => `telegram:${bot.name}`;
