import type { Message, Update, UserFromGetMe } from "grammy/types";
import { type Api, Composer, Context } from "grammy/web";
import type { Bot } from "./bots.ts";
import { texts } from "./texts.ts";

/** What an update asks for. */
export type Plan =
  /** A turn of the chat's conversation. */
  | { kind: "ask"; message: string }
  /** A fixed text. */
  | { kind: "say"; text: string }
  | { kind: "new" }
  | { kind: "status" }
  | { kind: "migrate"; to: number }
  | { kind: "nothing" };

type PlanContext = Context & { plan?: Plan };

const plan = (make: (ctx: Context) => Plan) => (ctx: PlanContext) => {
  ctx.plan = make(ctx);
};
const say = (text: string) => plan(() => ({ kind: "say", text }));

// In this order: the first that matches decides.
const router = new Composer<PlanContext>();
router.on("message:migrate_to_chat_id", (ctx) => {
  ctx.plan = { kind: "migrate", to: ctx.msg.migrate_to_chat_id };
});
const commands = router.on("message:text");
commands.command("start", say(texts.start));
commands.command("help", say(texts.help));
commands.command(
  "new",
  plan(() => ({ kind: "new" })),
);
commands.command(
  "status",
  plan(() => ({ kind: "status" })),
);
commands.command("weather", (ctx) => {
  const place = ctx.match.trim();
  ctx.plan = place
    ? { kind: "ask", message: `What's the weather in ${place}?` }
    : { kind: "say", text: texts.weatherWhere };
});
commands.on("::bot_command").filter((ctx) => ctx.msg.text.startsWith("/"), say(texts.unknownCommand));
router.on("message:text", (ctx) => {
  ctx.plan = { kind: "ask", message: ctx.msg.text };
});
const rest = router.on("message");
rest.on(":location", (ctx) => {
  const { latitude, longitude } = ctx.msg.location;
  ctx.plan = { kind: "ask", message: `What's the weather at ${latitude},${longitude}?` };
});
rest.on(":photo", say(texts.unreadable.photo));
rest.on([":voice", ":audio"], say(texts.unreadable.voice));
rest.on(":sticker", say(texts.unreadable.sticker));
rest.on([":document", ":video", ":video_note", ":animation"], say(texts.unreadable.file));
rest.use(say(texts.unreadable.other));

/** What the message asks of the bot, be it new or edited; the receiver has checked that it is meant for it. */
export async function planFor({ update_id, ...update }: Update, api: Api, bot: Bot): Promise<Plan> {
  const message = withLowerCommand(update.message ?? update.edited_message);
  const ctx: PlanContext = new Context({ update_id, message } as Update, api, botInfo(bot));
  await router.middleware()(ctx, async () => {});
  return ctx.plan ?? { kind: "nothing" };
}

/** grammY compares commands by letter; people type /Help. */
function withLowerCommand(message: Message | undefined): Message | undefined {
  const command = message?.entities?.find(({ type, offset }) => type === "bot_command" && offset === 0);
  if (!command || message?.text === undefined) return message;
  const { text } = message;
  return { ...message, text: text.slice(0, command.length).toLowerCase() + text.slice(command.length) };
}

/** As `getMe` would tell it, as far as routing looks: nothing has to be asked of Telegram. */
const botInfo = ({ id, name }: Bot) =>
  ({ id, is_bot: true, first_name: name, username: name }) as UserFromGetMe;
