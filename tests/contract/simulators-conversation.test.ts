import { type ModelSimulator, startModel } from "@parley/local/simulators/model";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fc } from "../support/property.ts";
import { NOW, openChat, TOOLS } from "../support/simulated-chat.ts";

let model: ModelSimulator;
beforeAll(async () => {
  model = await startModel({ now: () => NOW });
});
afterAll(() => model.close());

const weather = (location: string, days: number | null = null) => ({
  name: "get_weather",
  arguments: { location, days },
});
const clock = (timezone: string | null) => ({ name: "get_today_date", arguments: { timezone } });
const holidays = (
  after_date: string,
  before_date: string | null = null,
  max_count: number | null = null,
  country: string | null = null,
) => ({
  name: "get_holidays",
  arguments: { after_date, before_date, max_count, country, region: null },
});

type Turn = [question: string, calls: object[], answer: string[]];

/** Each conversation: question -> tool calls -> what the answer says. */
const conversations: Record<string, Turn[]> = {
  "weather now, then by ellipsis": [
    [
      "What's the weather in Barcelona?",
      [weather("Barcelona")],
      ["In Barcelona, Region, Country it is now 18 °C, sunny (simulated)"],
    ],
    ["And tomorrow?", [weather("Barcelona", 2)], ["Tomorrow, Monday 2026-11-23 in Barcelona", "1 to 8 °C"]],
    ["and in Paris?", [weather("Paris", 2)], ["Tomorrow, Monday 2026-11-23 in Paris"]],
    ["in 3 days", [weather("Paris", 4)], ["Wednesday 2026-11-25 in Paris", "3 to 10 °C"]],
    ["next 5 days?", [weather("Paris", 5)], ["Today, Sunday 2026-11-22", "Thursday 2026-11-26"]],
    ["And next weekend?", [weather("Paris", 8)], ["Saturday 2026-11-28", "Sunday 2026-11-29"]],
    ["What time is it there?", [clock("Europe/Paris")], ["It is 23:40 in Paris"]],
    ["And the day after tomorrow?", [weather("Paris", 3)], ["The day after tomorrow, Tuesday 2026-11-24"]],
  ],
  "this weekend on a Sunday is today": [
    [
      "What's the weather like in Madrid this weekend?",
      [weather("Madrid", 1)],
      ["Today, Sunday 2026-11-22 in Madrid"],
    ],
  ],
  "a place is asked for when none is known": [
    ["What's the weather?", [], ["Which place do you mean?"]],
    ["Lyon", [weather("Lyon")], ["In Lyon"]],
    ["And tomorrow?", [weather("Lyon", 2)], ["Tomorrow, Monday 2026-11-23 in Lyon"]],
  ],
  "a place that does not exist": [
    [
      "What's the weather in Xyzzy?",
      [weather("Xyzzy")],
      ['I could not get the weather for Xyzzy: No place called "Xyzzy" was found.'],
    ],
  ],
  "stale data is marked": [
    [
      "Weather in Oldtown?",
      [weather("Oldtown")],
      ["9 °C, mist", "Note: this data is 2 h old; the weather provider could not be asked for newer."],
    ],
  ],
  "several in one question": [
    [
      "What's the weather in Barcelona and what time is it in Tokyo?",
      [weather("Barcelona"), clock("Asia/Tokyo")],
      ["In Barcelona", "It is 23:40 in Tokyo on Sunday 2026-11-22 (Asia/Tokyo)"],
    ],
    ["And tomorrow?", [weather("Barcelona", 2)], ["Tomorrow, Monday 2026-11-23 in Barcelona"]],
    [
      "What's the weather in Paris, London and Rome tomorrow?",
      [weather("Paris", 2), weather("London", 2), weather("Rome", 2)],
      ["in Paris", "in London", "in Rome"],
    ],
    [
      "weather in Oslo today and tomorrow",
      [weather("Oslo", 2)],
      ["Today, Sunday 2026-11-22 in Oslo", "Tomorrow, Monday 2026-11-23 in Oslo"],
    ],
    [
      "Tell me the weather in Cairo, the next holiday and the time in New York",
      [weather("Cairo"), holidays("2026-11-22", null, 1), clock("America/New_York")],
      [
        "In Cairo",
        "The next public holiday is Constitution Day (simulated), Sunday 2026-12-06 (in 14 days)",
        "in New York",
      ],
    ],
  ],
  "time and date": [
    ["what time is it in Tokyo?", [clock("Asia/Tokyo")], ["It is 23:40 in Tokyo"]],
    ["and in London?", [clock("Europe/London")], ["in London"]],
    ["What time is it?", [clock(null)], ["It is 23:40 on Sunday 2026-11-22 (UTC)"]],
    ["What's today's date?", [clock(null)], ["Today is Sunday 2026-11-22"]],
    ["What's the date tomorrow?", [clock(null)], ["Tomorrow is Monday 2026-11-23"]],
    ["What time is it in Xyzzy?", [], ["I do not know the time zone of Xyzzy"]],
  ],
  "public holidays": [
    [
      "when is the next public holiday?",
      [holidays("2026-11-22", null, 1)],
      ["Constitution Day (simulated), Sunday 2026-12-06 (in 14 days)"],
    ],
    [
      "holidays in August",
      [holidays("2027-08-01", "2027-09-01")],
      ["(1)", "- Sunday 2027-08-15: Assumption of Mary (simulated)"],
    ],
    [
      "And in September?",
      [holidays("2027-09-01", "2027-10-01")],
      ["Festival of la Mercè (simulated) (until 2027-09-25)"],
    ],
    [
      "Is 25 December a holiday?",
      [holidays("2026-12-25", "2026-12-26")],
      ["Yes: Friday 2026-12-25 is Christmas Day (simulated)."],
    ],
    [
      "Is tomorrow a holiday?",
      [holidays("2026-11-23", "2026-11-24")],
      ["I found no public holiday on Monday 2026-11-23."],
    ],
    [
      "the next 3 holidays",
      [holidays("2026-11-22", null, 3)],
      ["Constitution Day", "Immaculate Conception", "Christmas Day"],
    ],
    [
      "Holidays in Japan?",
      [holidays("2026-11-22", null, 5, "Japan")],
      ["- Monday 2026-11-23: Labor Thanksgiving Day", "- Friday 2027-01-01: New Year's Day"],
    ],
    [
      "When is the next holiday in the USA?",
      [holidays("2026-11-22", null, 1, "United States of America")],
      ["The next public holiday is"],
    ],
    [
      "holidays in Girona",
      [holidays("2026-11-22", null, 5)],
      ["My calendar is of one region only, which may not be Girona."],
    ],
  ],
  "what cannot be known is not invented": [
    ["What's the weather in Rome in two weeks?", [], ["too far ahead", "2026-12-01"]],
    ["What was the weather in Rome yesterday?", [], ["I can only look ahead"]],
  ],
  "facts told are remembered": [
    ["Hi, I'm Ada.", [], ["Ada"]],
    ["My favorite colour is blue and my dog is Rex", [], ["favourite colour is blue", "dog is Rex"]],
    ["What's my name?", [], ["Your name is Ada."]],
    ["do you remember my favourite colour?", [], ["Your favourite colour is blue."]],
    ["remember that the keys are under the mat", [], ["the keys are under the mat"]],
    ["What do you remember about me?", [], ["Rex", "the keys are under the mat"]],
    ["What's my shoe size?", [], ["You have not told me your shoe size"]],
    ["I live in Lyon", [], ["Lyon"]],
    ["Will it rain?", [weather("Lyon", 1)], ["in Lyon"]],
    ["My name is Grace and what's the weather in Bonn?", [weather("Bonn")], ["Grace", "In Bonn"]],
    ["What's my name?", [], ["Your name is Grace."]],
  ],
  "small talk is honest": [
    ["Hello!", [], ["Hello! I am the offline model; set OPENAI_API_KEY for a real one"]],
    ["Write me a poem about rain", [], ["I am the offline model; set OPENAI_API_KEY for a real one"]],
    ["", [], ["I am the offline model; set OPENAI_API_KEY for a real one"]],
  ],
  "places as they are written": [
    ["weather in barcelona", [weather("Barcelona")], ["In Barcelona"]],
    ["Weather in Barcelona, Spain tomorrow?", [weather("Barcelona, Spain", 2)], ["Barcelona, Spain"]],
    ["What's the weather in São Paulo?", [weather("São Paulo")], ["São Paulo"]],
    [
      "What's the weather in Foo&bar=1/../?x#y%20?",
      [weather("Foo&bar=1/../?x#y%20")],
      ["Foo&bar=1/../?x#y%20"],
    ],
    ['weather in "Xyz & Co?q=1"', [weather("Xyz & Co?q=1")], ["Xyz & Co?q=1"]],
    ["weather at 41.38, 2.17", [weather("41.38,2.17")], ["41.38,2.17"]],
  ],
};

describe.each(Object.entries(conversations))("%s", (_, turns) => {
  test("through the real client and the tool loop", async () => {
    const chat = openChat(model);
    for (const [question, calls, answers] of turns) {
      const turn = await chat.ask(question);
      expect(turn.calls, question).toEqual(calls);
      for (const answer of answers) expect(turn.answer, question).toContain(answer);
    }
  });
});

describe("calling tools", () => {
  test("several calls come in one round, or one a round when parallel calls are off", async () => {
    const question = "What's the weather in Barcelona and what time is it in Tokyo?";
    const together = await openChat(model).ask(question);
    expect(together).toMatchObject({ rounds: 2, calls: [{}, {}] });
    const single = await openChat(model, { parallel: false }).ask(question);
    expect(single).toMatchObject({ rounds: 3, calls: together.calls, answer: together.answer });
  });

  test("only offered tools are called, with arguments that fit their schema", async () => {
    const [, , getWeather] = TOOLS;
    const offered = openChat(model, { tools: [getWeather!] });
    const turn = await offered.ask("What's the weather in Barcelona and what time is it in Tokyo?");
    expect(turn.calls).toEqual([weather("Barcelona")]);
    expect(turn.answer).toContain("I have no clock here");

    const older = structuredClone(getWeather!);
    older.function.parameters = {
      type: "object",
      properties: { location: { type: "string" } },
      required: ["location"],
      additionalProperties: false,
    };
    const { calls } = await openChat(model, { tools: [older] }).ask("Weather in Barcelona tomorrow?");
    expect(calls).toEqual([{ name: "get_weather", arguments: { location: "Barcelona" } }]);

    const none = await openChat(model, { tools: [] }).ask("What's the weather in Barcelona?");
    expect(none.answer).toContain("I have no tool for the weather here");
  });

  test("a tool that it has never seen is called when its name is said, and quoted", async () => {
    const rollDice = structuredClone(TOOLS[1]!);
    rollDice.function.name = "roll_dice";
    rollDice.function.parameters = {
      type: "object",
      properties: { sides: { anyOf: [{ type: "integer", minimum: 2 }, { type: "null" }] } },
      required: ["sides"],
      additionalProperties: false,
    };
    const run = () => "You rolled 17.";
    const turn = await openChat(model, { tools: [...TOOLS, rollDice], run }).ask(
      "Please roll the dice with 20 sides",
    );
    expect(turn.calls).toEqual([{ name: "roll_dice", arguments: { sides: 20 } }]);
    expect(turn.answer).toBe("You rolled 17.");
  });

  test.each([
    [
      "Error: The weather is unavailable right now.",
      "I could not get the weather for Paris: The weather is unavailable right now.",
    ],
    [
      "Error: The tool took longer than 10 s.",
      "I could not get the weather for Paris: The tool took longer than 10 s.",
    ],
    ["Some wording of the future, 21 degrees", "Some wording of the future, 21 degrees"],
    ["", "I could not get the weather for Paris"],
  ])("the result %j is told as it is", async (result, answer) => {
    for (const question of ["Weather in Paris?", "Weather in Paris tomorrow?"]) {
      const turn = await openChat(model, { run: () => result }).ask(question);
      expect(turn.answer).toContain(answer);
      if (!result.includes("21")) expect(turn.answer).not.toMatch(/\d+ °C/);
    }
  });

  test("a forecast that began yesterday still answers for the right day, a short one says where it ends", async () => {
    const stale = `Forecast for Paris, France:\n2026-11-21: 1 to 2 °C, mist\n2026-11-22: 3 to 4 °C, mist\n2026-11-23: 5 to 6 °C, mist\nNote: this data is 20 h old.`;
    const run = () => stale;
    const tomorrow = await openChat(model, { run }).ask("Weather in Paris tomorrow?");
    expect(tomorrow.answer).toContain("Tomorrow, Monday 2026-11-23 in Paris, France: 5 to 6 °C");
    expect(tomorrow.answer).toContain("20 h old");
    const elsewhen = "Forecast for Paris:\n2030-01-01: 1 to 2 °C\n2030-01-02: 3 to 4 °C";
    const skewed = await openChat(model, { run: () => elsewhen }).ask("Weather in Paris tomorrow?");
    expect(skewed.answer).toContain("Tomorrow, Wednesday 2030-01-02 in Paris: 3 to 4 °C");
    const west = "Forecast for Westport:\n2026-11-21: 1 to 2 °C\n2026-11-22: 3 to 4 °C";
    const unknown = await openChat(model, { run: () => west }).ask("Weather in Westport tomorrow?");
    expect(unknown.answer).toContain("Tomorrow, Sunday 2026-11-22 in Westport: 3 to 4 °C");
    const week = await openChat(model, { run }).ask("Weather in Paris for the next 5 days?");
    expect(week.answer).toContain("The forecast I have ends on Monday 2026-11-23.");
  });
});

test("any text in any language is answered within a second", async () => {
  const parts = fc.constantFrom(
    "weather in ",
    " and ",
    "tomorrow",
    "my name is ",
    "?",
    "\n",
    "holidays ",
    "time in ",
    "what's my ",
    "🌦️",
    "\ud83c",
    "مرحبا ",
    "\u202e",
    "東京",
  );
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 400 }),
    fc.string({ unit: "grapheme", maxLength: 400 }),
    fc
      .array(fc.oneof(parts, fc.string({ unit: "binary", maxLength: 8 })), { maxLength: 40 })
      .map((some) => some.join("")),
    fc
      .tuple(parts, fc.integer({ min: 1, max: 16_384 }))
      .map(([some, length]) => some.repeat(length).slice(0, length)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 4 }), async (questions) => {
      const chat = openChat(model);
      for (const question of questions) {
        const started = performance.now();
        const { answer, rounds } = await chat.ask(question);
        expect(answer).not.toBe("");
        expect((performance.now() - started) / rounds).toBeLessThan(1_000);
      }
    }),
    { numRuns: 150 },
  );
});
