import { Config } from "@parley/core/config";
import { isAppError } from "@parley/core/error";
import { describe, expect, test } from "vitest";

const TOKEN = "1234567:AAE-t0ken_of-the-first";
const OTHER = "7654321:BBF-t0ken_of-another";
const SECRET = "0123456789abcdef";
const ENOUGH = { TELEGRAM_BOTS: `my_bot=${TOKEN}`, TELEGRAM_WEBHOOK_SECRET: SECRET };

type Settings = Record<string, string | undefined>;
const telegram = (settings: Settings) => new Config({ ...ENOUGH, ...settings }).telegram;

/** What the settings' reader says; undefined when it takes them. */
function complaint(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (!isAppError(error, "failed_precondition")) throw error;
    return error.message;
  }
}

describe("TELEGRAM_BOTS", () => {
  const bots = (TELEGRAM_BOTS: string | undefined) => telegram({ TELEGRAM_BOTS }).bots;

  test("are usernames, with or without @, and their tokens, of which the id is a part", () => {
    const first = { name: "my_bot", token: TOKEN, id: 1_234_567 };
    expect(bots(`my_bot=${TOKEN}`)).toEqual([first]);
    expect(bots(`@my_bot=${TOKEN}`)).toEqual([first]);
    expect(bots(` @my_bot=${TOKEN} ,\n Other_Bot2=${OTHER},`)).toEqual([
      first,
      { name: "Other_Bot2", token: OTHER, id: 7_654_321 },
    ]);
    expect(bots(`${"b".repeat(32)}=${TOKEN}`)).toHaveLength(1);
  });

  test.each([undefined, "", " ", ",", " , "])("%j is not set", (value) => {
    expect(complaint(() => bots(value))).toContain("TELEGRAM_BOTS: is not set");
  });

  test.each([
    TOKEN,
    `=${TOKEN}`,
    `@=${TOKEN}`,
    `my_bot:${TOKEN}`,
    `my_bot = ${TOKEN}`,
    `my_bot=`,
    "my_bot=t0ken",
    "my_bot=x1234567:AAE-t0ken_of",
    "my_bot=1234567:t0ken",
    `my_bot=${TOKEN}!`,
    `my_bot=${TOKEN}=`,
    `@@my_bot=${TOKEN}`,
    `my-bot=${TOKEN}`,
    `bot=${TOKEN}`,
    `${"b".repeat(33)}=${TOKEN}`,
    `my_bot=${TOKEN};other_bot=${OTHER}`,
    `my_bot=${TOKEN} other_bot=${OTHER}`,
    `other_bot=${OTHER},t0ken`,
    `my_bot=${TOKEN},my_bot=${OTHER}`,
    `my_bot=${TOKEN},@My_Bot=${OTHER}`,
  ])("%j is refused by name, and not shown", (value) => {
    const message = complaint(() => bots(value));
    expect(message).toMatch(/^Wrong settings: TELEGRAM_BOTS: (is not a list of |names a bot twice)/);
    for (const part of ["t0ken", "AAE", "BBF", "1234567"]) expect(message).not.toContain(part);
  });
});

describe("TELEGRAM_WEBHOOK_SECRET", () => {
  const secrets = (TELEGRAM_WEBHOOK_SECRET: string | undefined) =>
    telegram({ TELEGRAM_WEBHOOK_SECRET }).secrets;

  test("is one, or the current and the previous one", () => {
    expect(secrets(SECRET)).toEqual([SECRET]);
    expect(secrets(` ${SECRET} , ${"x".repeat(256)},`)).toEqual([SECRET, "x".repeat(256)]);
    expect(secrets("A-Z_a-z_0-9-------")).toEqual(["A-Z_a-z_0-9-------"]);
  });

  test.each([undefined, "", " ", ","])("%j is not set", (value) => {
    expect(complaint(() => secrets(value))).toContain("TELEGRAM_WEBHOOK_SECRET: is not set");
  });

  test.each([
    SECRET.slice(1),
    "x".repeat(257),
    `${SECRET}!`,
    `${SECRET} ${SECRET}`,
    `${SECRET}é`,
    `${SECRET},short`,
    `${SECRET},${SECRET}1,${SECRET}2`,
  ])("%j is refused by name, and not shown", (value) => {
    const message = complaint(() => secrets(value));
    expect(message).toMatch(/^Wrong settings: TELEGRAM_WEBHOOK_SECRET: must be /);
    for (const part of ["abcdef", "xxx", "short"]) expect(message).not.toContain(part);
  });
});

describe.each([
  ["TELEGRAM_ALLOWED_USERS", "users"],
  ["TELEGRAM_ALLOWED_CHATS", "chats"],
] as const)("%s", (name, list) => {
  const ids = (value: string | undefined) => [...telegram({ [name]: value }).allowed[list]];

  test("is a list of ids", () => {
    expect(ids("7")).toEqual([7]);
    expect(ids(" 7 , -1001234567890,7,")).toEqual([7, -1_001_234_567_890]);
  });

  test("is empty unless it is set", () => {
    for (const value of [undefined, "", " "]) expect(ids(value)).toEqual([]);
  });

  // Whoever wrote it wanted to keep somebody out.
  test.each(["@ada", "ada", "7;8", "7 8", "7.5", "0x7", "1e3", "7,ada", "--7", "7-8", ",", " , ", "none"])(
    "%j is refused by name",
    (value) => {
      expect(complaint(() => ids(value))).toContain(`${name}: is not a list of numeric ids`);
    },
  );
});

describe("TELEGRAM_API_ROOT", () => {
  const apiRoot = (TELEGRAM_API_ROOT: string | undefined) => telegram({ TELEGRAM_API_ROOT }).apiRoot;

  test("is Telegram's unless it is set", () => {
    for (const value of [undefined, ""]) expect(apiRoot(value)).toBe("https://api.telegram.org");
    expect(apiRoot("http://127.0.0.1:8081/")).toBe("http://127.0.0.1:8081");
    expect(apiRoot("https://bots.example/api//")).toBe("https://bots.example/api");
  });

  test.each(["api.telegram.org", "ftp://api.telegram.org", "nowhere"])("%j is refused by name", (value) => {
    expect(complaint(() => apiRoot(value))).toContain("TELEGRAM_API_ROOT: ");
  });
});

describe("the queue", () => {
  const url = (TELEGRAM_QUEUE_URL: string | undefined) => new Config({ TELEGRAM_QUEUE_URL }).telegramQueueUrl;

  test("is an address", () => {
    const address = "https://sqs.eu-west-1.amazonaws.com/123456789012/updates.fifo";
    expect(url(address)).toBe(address);
    for (const value of [undefined, "", "updates.fifo", "arn:aws:sqs:eu-west-1:123456789012:updates.fifo"]) {
      expect(complaint(() => url(value))).toContain("TELEGRAM_QUEUE_URL: ");
    }
  });
});

describe("settings by need", () => {
  test("calling the Bot API needs neither the webhook's secret nor who may talk", () => {
    const { TELEGRAM_BOTS } = ENOUGH;
    const config = new Config({ TELEGRAM_BOTS, TELEGRAM_ALLOWED_USERS: "@ada" });
    expect(config.telegramBots).toEqual({
      bots: [{ name: "my_bot", token: TOKEN, id: 1_234_567 }],
      apiRoot: "https://api.telegram.org",
    });
    expect(new Config({ TELEGRAM_WEBHOOK_SECRET: SECRET }).telegramSecrets).toEqual([SECRET]);
  });

  test("every wrong setting is named at once", () => {
    const message = complaint(() => new Config({ TELEGRAM_ALLOWED_CHATS: "x" }).telegram);
    expect(message).toBe(
      "Wrong settings: TELEGRAM_BOTS: is not set; TELEGRAM_WEBHOOK_SECRET: is not set; TELEGRAM_ALLOWED_CHATS: is not a list of numeric ids. See .env.example.",
    );
  });
});
