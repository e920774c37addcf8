import { dimensions, metrics, stepDurations } from "@parley/core/metrics";
import { silentTelemetry } from "@parley/core/telemetry";
import { expect, test } from "vitest";

// Held by the compiler: each line below that it should refuse is an error of the check if it does not.
test("a metric is counted under its name and with all of its dimensions, or the code does not compile", () => {
  const { count, step } = silentTelemetry;
  count("Requests");
  count("RequestDuration", 12.5);
  count("Turns", 1, { platform: "api", outcome: "done" });
  count("ModelCalls", 1, { model: "any model" });
  // @ts-expect-error no such metric
  count("Request");
  // @ts-expect-error its dimensions are missing
  count("Turns");
  // @ts-expect-error one of them is
  count("Turns", 1, { platform: "api" });
  // @ts-expect-error not a platform of the list
  count("Turns", 1, { platform: "web", outcome: "done" });
  // @ts-expect-error under another name
  count("ModelCalls", 1, { Model: "any model" });
  // @ts-expect-error one too many
  count("ModelCalls", 1, { model: "any model", user: "somebody" });
  // @ts-expect-error it has none
  count("Requests", 1, { model: "any model" });
  // @ts-expect-error no such step
  void step("store complete", async () => {});
});

test("names are CloudWatch's: letters, unique as dimension and as metric", () => {
  for (const name of Object.keys(metrics)) expect(name).toMatch(/^[A-Z][A-Za-z]+$/);
  for (const name of Object.keys(dimensions)) expect(name).toMatch(/^[a-z_]+$/);
});

test("no dimension is of a user, a chat, a conversation, a key or a request", () => {
  for (const name of Object.keys(dimensions))
    expect(name).not.toMatch(/user|chat|conversation|session|key|id$/);
});

test("what a metric multiplies to stays below a hundred, open dimensions taken for ten", () => {
  for (const { dimensions: names } of Object.values(metrics)) {
    const sizes = names.map((name) => (dimensions[name] === "open" ? 10 : dimensions[name].length));
    expect(sizes.reduce((product, size) => product * size, 1)).toBeLessThan(100);
  }
});

test("each timed step has a duration of its own", () => {
  const names = Object.values(stepDurations);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(metrics[name].unit).toBe("Milliseconds");
});
