/** What the bot says without the model, in English. */
export const texts = {
  start:
    "Hello! Ask me anything. I can tell the weather anywhere, the date and time in any time zone, and public holidays. /help lists what else I understand.",
  help: [
    "Just write to me. In a group, mention me or reply to me.",
    "",
    "/new - begin a new conversation",
    "/stop - stop the answer under way",
    "/weather <place> - the weather there; or send me a location",
    "/status - about this conversation",
    "/help - this text",
  ].join("\n"),
  new: "A new conversation: I start from scratch.",
  weatherWhere: "Which place? For example: /weather Barcelona",
  unknownCommand: "I do not know that command. /help lists those that I do.",
  unreadable: {
    photo: "I cannot look at pictures yet. Tell me in words what you would like to know about it.",
    voice: "I cannot listen to voice messages yet. Please write to me instead.",
    sticker: "Nice sticker! I only understand text and locations, though.",
    file: "I cannot open files yet. Paste the part that matters as text.",
    other: "I only understand text and locations so far.",
  },
  stopped: "Stopped.",
  notStopped: "Sorry, I could not stop just now. Please try again in a moment.",
  tooLong: "That message is too long for me. Please send it in smaller pieces.",
  failed: "Sorry, I could not answer this message. Please send it again in a while.",
  overBudget: { user: "You have used up your budget for today.", key: "I have used up my budget for today." },
} as const;

/** Of a budget that is used up until `resetsAt`, in whoever's time zone that may be read. */
export function overBudgetText(budget: keyof typeof texts.overBudget, resetsAt: Date, now: number): string {
  const minutes = Math.max(1, Math.ceil((resetsAt.getTime() - now) / 60_000));
  const left = minutes < 60 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
  const at = resetsAt.toISOString().slice(11, 16);
  return `${texts.overBudget[budget]} I can answer you again at ${at} UTC, in about ${left}: please send your message again then.`;
}

/** For `setMyCommands`; `/start` is known to every client. */
export const commands = [
  { command: "new", description: "Begin a new conversation" },
  { command: "stop", description: "Stop the answer under way" },
  { command: "weather", description: "The weather at a place" },
  { command: "status", description: "About this conversation" },
  { command: "help", description: "What I understand" },
] as const;
