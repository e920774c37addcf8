import type { BotApiControl } from "./control.ts";
import { ControlError } from "./world.ts";

export const CONTROL_PATH = "/_control";

type FieldType = "number" | "string" | "boolean" | "object" | "array" | "any";
/** Types by name; a name that ends in `?` may be left out. */
type Fields = Record<string, FieldType>;

const IN_CHAT = { chat: "number", "bot?": "string" } as const;
const AS = { "from?": "number" } as const;
const WAIT = { "timeout_ms?": "number" } as const;
const MEDIA = {
  "location?": "object",
  "photo?": "any",
  "voice?": "any",
  "sticker?": "any",
  "document?": "any",
} as const;

/** Every operation with the fields of its argument. */
const OPERATIONS: Readonly<Record<keyof BotApiControl, Fields>> = {
  bots: {},
  createUser: {
    ...{ "id?": "number", "first_name?": "string", "last_name?": "string", "username?": "string" },
    "language_code?": "string",
  },
  createPrivateChat: { user: "number", "bot?": "string" },
  createGroup: {
    ...{ "title?": "string", "type?": "string", "is_forum?": "boolean", "username?": "string" },
    ...{ "members?": "array", "bots?": "array", "administrators?": "boolean" },
  },
  createTopic: { ...IN_CHAT, ...AS, name: "string" },
  send: {
    ...{ ...IN_CHAT, ...AS, ...MEDIA, "text?": "string", "entities?": "array", "caption?": "string" },
    ...{ "message_thread_id?": "number", "reply_to?": "number" },
  },
  edit: { ...IN_CHAT, message_id: "number", text: "string" },
  press: { ...IN_CHAT, ...AS, message_id: "number", data: "string" },
  join: { ...IN_CHAT, user: "number" },
  leave: { ...IN_CHAT, user: "number" },
  block: IN_CHAT,
  unblock: IN_CHAT,
  migrate: IN_CHAT,
  inject: { update: "object", "bot?": "string" },
  redeliver: { update_id: "number", "after_seconds?": "number", "bot?": "string" },
  duplicate: { "probability?": "number", "after_seconds?": "number", "seed?": "number" },
  transcript: IN_CHAT,
  events: { ...IN_CHAT, ...WAIT, "after?": "number" },
  waitForMessage: { ...IN_CHAT, ...WAIT, "after?": "number", "message_thread_id?": "number" },
  settled: { ...WAIT, "bot?": "string" },
  commands: { ...IN_CHAT, user: "number" },
  counters: { "bot?": "string" },
  addFault: {
    ...{ kind: "string", "bot?": "string", "method?": "string", "chat?": "number", "text?": "string" },
    ...{ "count?": "number", "probability?": "number", "seed?": "number", "retry_after?": "number" },
    ...{ "delay_seconds?": "number", "migrate_to_chat_id?": "number", "executed?": "boolean" },
  },
  removeFault: { id: "number" },
  faults: {},
  clearFaults: {},
  setRateLimits: { enabled: "boolean", "bot?": "string" },
};

const isOperation = (name: string): name is keyof BotApiControl => Object.hasOwn(OPERATIONS, name);

/**
 * `POST /_control/{operation}` with the operation's argument as JSON; GET does for operations without one. The answer
 * is the result as JSON, `{}` when there is none, or 400 with `{ error }`. `GET /_control` lists all operations.
 */
export async function answerControl(
  control: BotApiControl,
  method: string,
  path: string,
  body: Buffer,
): Promise<{ status: number; body: string }> {
  const name = path.slice(CONTROL_PATH.length).replace(/^\//, "");
  if (name === "") return reply(200, OPERATIONS);
  if (!isOperation(name))
    return reply(404, { error: `there is no ${name}; GET ${CONTROL_PATH} lists what there is` });
  if (method !== "POST" && method !== "GET") return reply(405, { error: "POST, or GET without an argument" });
  try {
    const argument = checked(body.length === 0 ? {} : JSON.parse(body.toString("utf8")), OPERATIONS[name]);
    const operation = control[name] as (argument: unknown) => Promise<unknown>;
    return reply(200, (await operation(argument)) ?? {});
  } catch (error) {
    if (error instanceof ControlError || error instanceof TypeError || error instanceof SyntaxError) {
      return reply(400, { error: error.message });
    }
    throw error;
  }
}

/** The operations of a server that runs elsewhere, at its API root. They reject with ControlError. */
export function connectControl(url: string): BotApiControl {
  const call = async (name: string, argument: unknown) => {
    const response = await fetch(`${url}${CONTROL_PATH}/${name}`, {
      method: "POST",
      body: JSON.stringify(argument ?? {}),
    });
    const result = (await response.json()) as { error?: string };
    if (!response.ok) throw new ControlError(result.error ?? `the control API answered ${response.status}`);
    return result;
  };
  const operations = Object.keys(OPERATIONS).map((name) => [
    name,
    (argument: unknown) => call(name, argument),
  ]);
  return Object.fromEntries(operations) as BotApiControl;
}

function checked(argument: unknown, fields: Fields): Record<string, unknown> {
  if (typeof argument !== "object" || argument === null || Array.isArray(argument)) {
    throw new TypeError("the argument is a JSON object");
  }
  const given = argument as Record<string, unknown>;
  for (const [name, type] of Object.entries(fields)) {
    const value = given[name.replace("?", "")];
    if (value === undefined && name.endsWith("?")) continue;
    if (type !== "any" && typeOf(value) !== type)
      throw new TypeError(`"${name.replace("?", "")}" must be a ${type}`);
  }
  for (const name of Object.keys(given)) {
    if (fields[name] === undefined && fields[`${name}?`] === undefined) {
      const known = Object.keys(fields).join(", ") || "none";
      throw new TypeError(`there is no field "${name}"; there are ${known}`);
    }
  }
  return given;
}

const typeOf = (value: unknown) => (Array.isArray(value) ? "array" : value === null ? "null" : typeof value);

const reply = (status: number, value: unknown) => ({ status, body: JSON.stringify(value) });
