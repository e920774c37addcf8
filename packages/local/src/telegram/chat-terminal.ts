import { createInterface, type Interface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { printable } from "../ask.ts";
import type { BotApiControl, Events } from "./control.ts";
import { connectControl } from "./control-http.ts";
import type { ChatEvent } from "./dialog.ts";
import { dim, renderMessage } from "./render-message.ts";
import { type Outcome, type Place, runLine } from "./terminal-commands.ts";
import { ControlError } from "./world.ts";

export type TelegramChatOptions = {
  /** A local Bot API: its URL, or its control API. */
  botApi: string | BotApiControl;
  /** The username of the bot to talk to; the first one by default. */
  bot?: string;
  /** Ends the chat. */
  stopped?: AbortSignal;
  input?: NodeJS.ReadableStream & { isTTY?: boolean };
  output?: NodeJS.WritableStream & { isTTY?: boolean };
  /** What the person's client tells the bot; from the environment's LANG by default. */
  languageCode?: string;
  /** For piped input: the bot has finished when it has shown nothing for this long. */
  quietMs?: number;
  /** For piped input: how long to wait for a bot that shows nothing at all. */
  silenceMs?: number;
};

const POLL_MS = 250;
const WATCH_RETRY_MS = 50;
/** Longer than a bot waits between the parts of an answer. */
const QUIET_MS = 1_500;
const SILENCE_MS = 15_000;
const ERASE_LINE = "\r\u001b[2K";

type Screen = {
  print(text: string): void;
  /** Shows or hides that the bot is doing something. */
  setActivity(activity: string | undefined): void;
};

/** What the bot has been seen doing. Times are of `performance.now()`. */
type Activity = { now: string | undefined; changedAt: number; shown: number };

/**
 * Talks to a bot of a local Bot API as its user would see it: messages with their formatting, what the bot is doing,
 * answers quoted, buttons. On a terminal until Ctrl-C, Ctrl-D or `:quit`; piped input is sent line by line, each line
 * after the bot has finished with the one before. Rejects when the Bot API is gone.
 */
export async function runTelegramChat(options: TelegramChatOptions): Promise<void> {
  const { input = process.stdin, output = process.stdout } = options;
  const control = typeof options.botApi === "string" ? connectControl(options.botApi) : options.botApi;
  const leaving = new AbortController();
  const left = AbortSignal.any([leaving.signal, ...(options.stopped === undefined ? [] : [options.stopped])]);
  const isInteractive = input.isTTY === true && output.isTTY === true;
  const place = await arrive(control, options);
  // Not before there is somebody to take the lines: they would be lost.
  const lines = createInterface({
    input,
    ...(isInteractive ? { output, terminal: true, prompt: "> " } : { terminal: false }),
    crlfDelay: Number.POSITIVE_INFINITY,
    signal: left,
  });
  // In raw mode Ctrl-C is a key, not a signal.
  lines.on("SIGINT", () => leaving.abort());
  const screen = isInteractive ? liveScreen(output, lines) : plainScreen(output);
  const activity: Activity = { now: undefined, changedAt: performance.now(), shown: 0 };
  const session: Session = { control, place, screen, activity, colour: useColour(output), left };
  let failure: Error | undefined;
  const watching = watch(session).catch((error: Error) => {
    failure = error;
    leaving.abort();
  });
  try {
    screen.print(dim(`You are talking to @${place.bot}; :help lists what you can do.`, session.colour));
    for await (const line of lines) {
      const outcome = line.trim() === "" ? undefined : await runAndTell(line, session);
      if (outcome?.kind === "leave") break;
      if (isInteractive) lines.prompt(true);
      else if (outcome?.kind === "said") await untilQuiet(session, options);
    }
  } finally {
    leaving.abort();
    lines.close();
    await watching;
    if (isInteractive) output.write("\n");
  }
  if (failure !== undefined) throw failure;
}

type Session = {
  control: BotApiControl;
  place: Place;
  screen: Screen;
  activity: Activity;
  colour: boolean;
  left: AbortSignal;
};

async function arrive(control: BotApiControl, options: TelegramChatOptions): Promise<Place> {
  const bots = await control.bots();
  const wanted = options.bot?.replace(/^@/, "").toLowerCase();
  const bot = bots.find(({ username }) => wanted === undefined || username?.toLowerCase() === wanted);
  if (bot?.username === undefined) throw new ControlError(`there is no bot called ${options.bot}`);
  const language = options.languageCode ?? /^[a-z]{2}(?=_|$)/.exec(process.env["LANG"] ?? "")?.[0] ?? "en";
  const user = await control.createUser({ first_name: "You", language_code: language });
  const chat = await control.createPrivateChat({ user: user.id, bot: bot.username });
  return {
    ...{ bot: bot.username, user: user.id, chat: chat.id, thread: undefined },
    ...{ seen: 0, lastOwn: undefined, lastFromBot: undefined },
  };
}

async function runAndTell(line: string, { control, place, screen, activity }: Session): Promise<Outcome> {
  activity.shown = 0;
  activity.changedAt = performance.now();
  try {
    const outcome = await runLine(line, control, place);
    if (outcome.kind === "told") screen.print(outcome.text);
    return outcome;
  } catch (error) {
    if (!(error instanceof ControlError)) throw gone(error);
    screen.print(`! ${error.message}`);
    return { kind: "told", text: error.message };
  }
}

const gone = (cause: unknown) => new Error("the local Bot API is gone", { cause });

/** Shows what happens in the chat until the person has left. */
async function watch(session: Session): Promise<void> {
  const { control, place, left } = session;
  const leaving = new Promise<undefined>((resolve) => {
    left.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  while (!left.aborted) {
    const { chat, bot, seen: after } = place;
    const asked = control.events({ chat, bot, after, timeout_ms: POLL_MS }).catch((error: unknown) => {
      throw gone(error);
    });
    const news = await Promise.race([asked, leaving]);
    // The person may have gone to another chat meanwhile.
    if (news === undefined || place.chat !== chat || place.seen !== after) continue;
    place.seen = news.next;
    show(news, session);
    if (news.events.length === 0) await sleep(WATCH_RETRY_MS);
  }
}

function show({ events, actions }: Events, { place, screen, activity, colour }: Session): void {
  for (const event of events) {
    const text = describe(event, colour);
    if (text === undefined) continue;
    if (event.type === "message" && event.message.from.is_bot) place.lastFromBot = event.message;
    screen.print(text);
    activity.shown += 1;
    activity.changedAt = performance.now();
  }
  const visible = actions[0]?.action.replaceAll("_", " ");
  if (visible !== activity.now) {
    activity.now = visible;
    activity.changedAt = performance.now();
    screen.setActivity(visible === undefined ? undefined : dim(`${visible}...`, colour));
  }
}

/** What an event looks like; nothing for what the person did. */
function describe(event: ChatEvent, colour: boolean): string | undefined {
  switch (event.type) {
    case "message":
    case "edit":
      return event.message.from.is_bot ? renderMessage(event.message, colour) : undefined;
    case "delete":
      return dim(`(message ${event.message_id} was deleted)`, colour);
    case "callback_answer":
      return event.text === undefined ? undefined : `(${printable(event.text)})`;
    default:
      return undefined;
  }
}

/** Until the bot has shown something and then, not doing anything visibly, nothing more for a while. */
async function untilQuiet({ activity, screen, left }: Session, options: TelegramChatOptions): Promise<void> {
  const { quietMs = QUIET_MS, silenceMs = SILENCE_MS } = options;
  while (!left.aborted) {
    const quiet = performance.now() - activity.changedAt;
    const isBusy = activity.now !== undefined;
    if (!isBusy && activity.shown > 0 && quiet > quietMs) return;
    if (!isBusy && quiet > silenceMs) return screen.print("(no answer)");
    await sleep(WATCH_RETRY_MS);
  }
}

/** Prints above the line that is being typed; what the bot does stands before the prompt. */
function liveScreen(output: NodeJS.WritableStream, lines: Interface): Screen {
  let open = true;
  lines.once("close", () => {
    open = false;
  });
  return {
    print(text) {
      output.write(`${ERASE_LINE}${text}\n`);
      if (open) lines.prompt(true);
    },
    setActivity(activity) {
      if (!open) return;
      lines.setPrompt(activity === undefined ? "> " : `${activity} > `);
      lines.prompt(true);
    },
  };
}

function plainScreen(output: NodeJS.WritableStream): Screen {
  return {
    print: (text) => void output.write(`${text}\n`),
    setActivity: (activity) => void (activity !== undefined && output.write(`${activity}\n`)),
  };
}

const useColour = (output: { isTTY?: boolean }) => output.isTTY === true && !process.env["NO_COLOR"];
