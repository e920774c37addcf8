/** Kilobytes of 1,000 bytes; code is minified. */
type Kilobytes = {
  /** The archive that is uploaded, as SST makes it. */
  zip: number;
  /** What is read before the handler is there, tracing off. */
  start: number;
  /** The same, tracing on. */
  traced: number;
  /** All of the code that is bundled, whenever it is loaded. */
  total: number;
};

/** What a function of the API may weigh, and what would be excellent. */
export const budget: { holds: Kilobytes; excellent: Kilobytes } = {
  holds: { zip: 220, start: 440, traced: 560, total: 1_100 },
  excellent: { zip: 165, start: 400, traced: 515, total: 980 },
};

/** Ratios to a handler that does nothing, and what a request costs beyond one. The bench prints, nobody asserts. */
export const timeBudget = {
  holds: { startRatio: 3.7, offMicros: 100, onMicros: 400, heapMB: 1 },
  excellent: { startRatio: 2.8, offMicros: 65, onMicros: 310, heapMB: 0.2 },
};

const answering = { zip: 610, start: 434, traced: 518, total: 909 };
const reading = { zip: 217, start: 426, traced: 510, total: 622 };
/** Without Twirp, which has no method for it. */
const restOnly = { ...reading, zip: 183, total: 514 };

/**
 * The limit of each function: a little above what it weighs, so that what makes one heavier is seen at once. Raise it when
 * the weight is worth it, and not beyond `budget`, unless there is a reason to put here.
 */
export const budgets: Readonly<
  Record<string, Kilobytes & { beyond?: Partial<Record<keyof Kilobytes, string>> }>
> = {
  "start-conversation": {
    ...answering,
    beyond: {
      zip: "the model's client with both of its APIs, the tools, a reader of calendars, and the holidays of the world (298 of it, a file beside the code): loaded when they are first used",
    },
  },
  "continue-conversation": {
    ...answering,
    beyond: { zip: "as start-conversation" },
  },
  "list-conversations": reading,
  "describe-conversation": reading,
  "delete-conversation": restOnly,
  "export-conversation": restOnly,
  "telegram-webhook": { zip: 154, start: 257, traced: 341, total: 431 },
  health: { zip: 179, start: 93, traced: 177, total: 504 },
  docs: {
    zip: 650,
    start: 129,
    traced: 213,
    total: 213,
    beyond: { zip: "Swagger UI's own files, which are read when a browser asks for them" },
  },
  fallback: { zip: 63, start: 87, traced: 171, total: 171 },
  "telegram-worker": {
    zip: 656,
    start: 559,
    traced: 643,
    total: 1_044,
    beyond: {
      zip: "what answers, the holidays of the world with it, Telegram's client, and the parser of Markdown",
      start: "Telegram's client; nobody waits for its start but a queue",
      traced: "as start",
    },
  },
};
