import { CurrentPrompts } from "@parley/core/assistant/current-prompts";
import type { PromptStore } from "@parley/core/assistant/prompt-store";
import { prompts as builtIn } from "@parley/core/assistant/prompts";
import { startModel } from "@parley/local/simulators/model";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { assistantOn, sentTo } from "../support/assistant.ts";
import { MINUTE_MS } from "../support/clock.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { fc } from "../support/property.ts";
import { type Stores, standIns } from "../support/stores.ts";
import { RecordingTelemetry } from "../support/telemetry.ts";

const SECRET = "Never say the word hunter2.";
const stored = (fields: object = {}) =>
  JSON.stringify({ version: "2026-11", default: "Be brief.", platforms: { telegram: SECRET }, ...fields });

let clock: ManualClock;
let telemetry: RecordingTelemetry;
let reads: number;

/** Reads of a store that are counted, and what each does instead, for a time. */
function currentOn(
  store: Pick<PromptStore, "read">,
  instead?: () => Promise<string | undefined> | undefined,
) {
  return new CurrentPrompts({
    store: async () => ({
      read(signal) {
        reads += 1;
        return instead?.() ?? store.read(signal);
      },
    }),
    clock,
    telemetry,
    firstWaitMs: 20,
  });
}

beforeEach(() => {
  clock = new ManualClock();
  telemetry = new RecordingTelemetry();
  reads = 0;
});

const settled = () => new Promise((resolve) => setTimeout(resolve, 30));

describe.each(standIns)("on $name", ({ open }) => {
  let under: Stores;
  beforeAll(async () => {
    under = await open();
  });
  afterAll(() => under?.close());
  beforeEach(() => under.prompts.reset());

  /** The first look may take longer than a turn waits for it on a busy machine. */
  async function read(current: CurrentPrompts, platform: string) {
    await current.promptFor(platform);
    await expect.poll(() => reads).toBeGreaterThan(0);
    await settled();
    return current.promptFor(platform);
  }

  test("none stored: the built-in ones, and nothing to warn of", async () => {
    const current = currentOn(under.prompts);
    for (const platform of ["api", "telegram", "cli"] as const) {
      expect(await read(current, platform)).toEqual(builtIn[platform]);
    }
    expect(telemetry.warnings).toEqual([]);
  });

  test("of a platform that is named, of all others by default, else the built-in one", async () => {
    await under.prompts.write(stored());
    const current = currentOn(under.prompts);
    expect(await read(current, "telegram")).toEqual({ version: "2026-11", text: SECRET });
    expect(await read(current, "cli")).toEqual({ version: "2026-11", text: "Be brief." });
    expect(await read(current, "toString")).toEqual({ version: "2026-11", text: "Be brief." });
    await under.prompts.write(stored({ default: undefined }));
    const other = currentOn(under.prompts);
    expect(await read(other, "cli")).toEqual(builtIn.cli);
    expect(await read(other, "toString")).toEqual(builtIn.api);
  });

  test.each([
    ["the empty text", ""],
    ["no JSON", `{"version":"1","default":"${SECRET}"`],
    ["null", "null"],
    ["a list", JSON.stringify([SECRET])],
    ["a text", JSON.stringify(SECRET)],
    ["without a version", stored({ version: undefined })],
    ["a version that is a text", stored({ version: SECRET })],
    ["a version that is a number", stored({ version: 1 })],
    ["nobody's prompt", stored({ default: undefined, platforms: {} })],
    ["an empty prompt", stored({ default: " \n" })],
    ["a prompt that is none", stored({ default: 7 })],
    ["platforms that are a list", stored({ platforms: [SECRET] })],
    ["a platform's name that is none", stored({ platforms: { [SECRET]: "x" } })],
    ["another field", stored({ [SECRET]: "x" })],
    ["a prompt that is too long", stored({ default: SECRET.repeat(1_000) })],
    [
      "too much of all",
      stored({
        platforms: Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`p${i}`, "x".repeat(9_000)])),
      }),
    ],
  ])("%s: the built-in one, and a warning that repeats nothing", async (_what, json) => {
    await under.prompts.write(json);
    const current = currentOn(under.prompts);
    expect(await read(current, "telegram")).toEqual(builtIn.telegram);
    expect(telemetry.warnings).toMatchObject([
      {
        message: expect.stringContaining("prompts"),
        fields: { parameter: "prompts", reason: expect.any(String) },
      },
    ]);
    expect(JSON.stringify(telemetry.warnings)).not.toContain("hunter2");
  });

  test("read again after five minutes, while what is known serves", async () => {
    await under.prompts.write(stored());
    const current = currentOn(under.prompts);
    expect(await read(current, "api")).toMatchObject({ version: "2026-11" });
    await under.prompts.write(stored({ version: "2026-12" }));
    clock.advance(5 * MINUTE_MS - 1);
    expect(await current.promptFor("api")).toMatchObject({ version: "2026-11" });
    expect(reads).toBe(1);
    clock.advance(1);
    expect(await current.promptFor("api")).toMatchObject({ version: "2026-11" });
    await expect.poll(async () => (await current.promptFor("api")).version).toBe("2026-12");
    expect(reads).toBe(2);
    await under.prompts.reset();
    clock.advance(5 * MINUTE_MS);
    await expect.poll(() => current.promptFor("api")).toEqual(builtIn.api);
  });
});

describe("a store that fails", () => {
  const json = stored();
  const version = async (current: CurrentPrompts) => (await current.promptFor("api")).version;

  test("what was read serves meanwhile, and it is asked again after half a minute", async () => {
    let isDown = false;
    const current = currentOn({ read: async () => json }, () =>
      isDown ? Promise.reject(new Error("down")) : undefined,
    );
    expect(await version(current)).toBe("2026-11");
    isDown = true;
    clock.advance(5 * MINUTE_MS);
    expect(await version(current)).toBe("2026-11");
    await settled();
    expect(await version(current)).toBe("2026-11");
    expect({ reads, warnings: telemetry.warnings.length }).toEqual({ reads: 2, warnings: 1 });
    clock.advance(30_000);
    await version(current);
    expect(reads).toBe(3);
  });

  test("from the beginning: the built-in one", async () => {
    const current = currentOn({ read: () => Promise.reject(new Error("down")) });
    expect(await current.promptFor("cli")).toEqual(builtIn.cli);
    expect(telemetry.warnings).toMatchObject([{ fields: { parameter: "prompts" } }]);
  });

  test("by never answering: the first turn alone waits, a moment, and there is one request at a time", async () => {
    let answer = (_json: string) => {};
    const hanging = new Promise<string>((resolve) => {
      answer = resolve;
    });
    const current = currentOn({ read: () => hanging });
    const firsts = await Promise.all([version(current), version(current), version(current)]);
    expect(firsts).toEqual([builtIn.api.version, builtIn.api.version, builtIn.api.version]);
    clock.advance(60 * MINUTE_MS);
    await version(current);
    expect(reads).toBe(1);
    answer(json);
    await settled();
    expect(await version(current)).toBe("2026-11");
  });
});

test("whatever is stored, there is a prompt with a version", async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.json()), async (json) => {
      const prompt = await currentOn({ read: async () => json }).promptFor("telegram");
      expect(prompt).toEqual(builtIn.telegram);
    }),
    { numRuns: 100 },
  );
});

test("the model gets the stored prompt, and turn and trace its version", async () => {
  const model = await startModel();
  try {
    const { reply, telemetry: told } = assistantOn(model, {
      prompts: currentOn({ read: async () => stored() }),
    });
    expect(await reply("Hello", { platform: "telegram" })).toMatchObject({ promptVersion: "2026-11" });
    expect(sentTo(model)[0]?.messages[0]).toMatchObject({ role: "system", content: SECRET });
    expect(told.annotations).toContainEqual({ prompt: "2026-11" });
  } finally {
    await model.close();
  }
});
