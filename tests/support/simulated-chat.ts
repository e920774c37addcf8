import type { ModelSimulator } from "@parley/local/simulators/model";
import OpenAI from "openai";

type Messages = OpenAI.ChatCompletionMessageParam[];
export type Call = { name: string; arguments: Record<string, unknown> };

/** Sunday afternoon in Barcelona. */
export const NOW = new Date("2026-11-22T14:40:12Z");

const nullable = (schema: object) => ({ anyOf: [schema, { type: "null" }] });
const tool = (name: string, properties: Record<string, unknown>): OpenAI.ChatCompletionFunctionTool => ({
  type: "function",
  function: {
    name,
    description: name,
    strict: true,
    parameters: {
      type: "object",
      properties,
      required: Object.keys(properties),
      additionalProperties: false,
    },
  },
});

/** The product's tools as it offers them. */
export const TOOLS = [
  tool("get_holidays", {
    before_date: nullable({ type: "string" }),
    after_date: nullable({ type: "string" }),
    max_count: nullable({ type: "integer", minimum: 1, maximum: 100 }),
    country: nullable({ type: "string" }),
    region: nullable({ type: "string" }),
  }),
  tool("get_today_date", { timezone: nullable({ type: "string" }) }),
  tool("get_weather", {
    location: { type: "string" },
    days: nullable({ type: "integer", minimum: 1, maximum: 10 }),
  }),
];

/** Results in the product's wording, the same at every call. */
export function runTool({ name, arguments: args }: Call): string {
  if (name === "get_today_date") return `Sunday, 2026-11-22T23:40:12+09:00 (${args["timezone"] ?? "UTC"})`;
  if (name === "get_holidays") return holidays(args);
  if (name !== "get_weather") return `Error: there is no tool ${name}.`;
  const location = String(args["location"]);
  if (/xyzzy/i.test(location)) return `Error: No place called "${location}" was found.`;
  if (location === "Oldtown") {
    return `Weather in Oldtown, Nowhere (local time 2026-11-22 13:40): 9 °C, mist (simulated)\nNote: this data is 2 h old; the weather provider could not be asked for newer. Say so.`;
  }
  const days = args["days"];
  if (typeof days !== "number") {
    return `Weather in ${location}, Region, Country (local time 2026-11-22 15:40): 18 °C, sunny (simulated), feels like 17 °C, humidity 60 %, wind 12 km/h NW`;
  }
  const lines = Array.from(
    { length: days },
    (_, day) =>
      `2026-${day < 9 ? "11" : "12"}-${String(((day + 21) % 30) + 1).padStart(2, "0")}: ${day} to ${day + 7} °C, cloudy (simulated)`,
  );
  return [`Forecast for ${location}, Region, Country:`, ...lines].join("\n");
}

function holidays(args: Record<string, unknown>): string {
  if (args["country"] === "Japan") return "2026-11-23: Labor Thanksgiving Day\n2027-01-01: New Year's Day";
  const all = [
    "2026-12-06: Constitution Day (simulated)",
    "2026-12-08: Immaculate Conception (simulated)",
    "2026-12-25: Christmas Day (simulated)",
    "2027-08-15: Assumption of Mary (simulated)",
    "2027-09-23: Festival of la Mercè (simulated) (until 2027-09-25)",
  ];
  const after = String(args["after_date"] ?? "2026-11-22");
  const before = String(args["before_date"] ?? "9999");
  const found = all.filter((line) => line.slice(0, 10) >= after && line.slice(0, 10) < before);
  return (
    found.slice(0, Number(args["max_count"] ?? 100)).join("\n") ||
    "The calendar has no holidays in that span."
  );
}

export function clientOf(model: Pick<ModelSimulator, "url">, apiKey = "sk-test"): OpenAI {
  return new OpenAI({ apiKey, baseURL: model.url, maxRetries: 0, timeout: 10_000 });
}

/** A conversation with the simulated model through the tool loop that the product runs. */
export function openChat(
  model: Pick<ModelSimulator, "url">,
  options: {
    tools?: OpenAI.ChatCompletionFunctionTool[];
    parallel?: boolean;
    run?: (call: Call) => string;
  } = {},
) {
  const client = clientOf(model);
  const messages: Messages = [{ role: "system", content: "You are a helpful assistant." }];
  const { tools = TOOLS, parallel, run = runTool } = options;

  async function ask(content: string): Promise<{ calls: Call[]; rounds: number; answer: string }> {
    messages.push({ role: "user", content });
    const calls: Call[] = [];
    for (let rounds = 1; rounds <= 8; rounds += 1) {
      const { choices } = await client.chat.completions.create({
        model: "offline-model",
        messages,
        ...(tools.length > 0 && { tools }),
        ...(parallel !== undefined && { parallel_tool_calls: parallel }),
      });
      const message = choices[0]!.message;
      messages.push(message);
      if (message.tool_calls === undefined) return { calls, rounds, answer: message.content ?? "" };
      for (const call of message.tool_calls) {
        if (call.type !== "function") throw new Error(`unexpected call of type ${call.type}`);
        const made = { name: call.function.name, arguments: JSON.parse(call.function.arguments) };
        calls.push(made);
        messages.push({ role: "tool", tool_call_id: call.id, content: run(made) });
      }
    }
    throw new Error("the model never stopped calling tools");
  }
  return { ask, messages };
}
