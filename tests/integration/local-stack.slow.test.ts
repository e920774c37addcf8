import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Stack, StackOptions } from "@parley/local/stack";
import { startStack } from "@parley/local/stack";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let dataDir: string;
const opened: Stack[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "parley-stack-"));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((stack) => stack.close()));
  await rm(dataDir, { recursive: true });
});

async function open(env: Record<string, string> = {}, options: Partial<StackOptions> = {}): Promise<Stack> {
  const stack = await startStack({ env, dataDir, ...options });
  opened.push(stack);
  return stack;
}

async function api(stack: Stack, method: string, path: string, body?: object) {
  const response = await fetch(`${stack.url}${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

const kinds = (stack: Stack) => Object.fromEntries(stack.summary.map(({ part, kind }) => [part, kind]));

describe("startStack", () => {
  test("without settings everything is local, and the functions are told where", async () => {
    const stack = await open();
    expect(new Set(Object.values(kinds(stack)))).toEqual(new Set(["local"]));
    for (const name of [
      "OPENAI_BASE_URL",
      "WEATHER_API_URL",
      "OPEN_METEO_URL",
      "OPEN_METEO_GEOCODING_URL",
      "UPSTASH_REDIS_REST_URL",
      "AWS_ENDPOINT_URL_DYNAMODB",
    ]) {
      expect(stack.env[name]).toMatch(/^http:\/\/127\.0\.0\.1:\d+/);
    }
    expect(stack.env["HOLIDAY_CALENDAR_LINK"]).toMatch(/\.ics$/);
    expect(stack.env).toMatchObject({
      AUTH_MODE: "none",
      CONVERSATIONS_TABLE: "parley",
      AWS_REGION: "us-east-1",
    });
  });

  test("what the settings name is used as it is", async () => {
    const env = {
      OPENAI_API_KEY: "sk-1",
      WEATHER_API_KEY: "w",
      HOLIDAY_CALENDAR_LINK: "https://calendar.example/h.ics",
      UPSTASH_REDIS_REST_URL: "https://redis.example",
      UPSTASH_REDIS_REST_TOKEN: "t",
      DYNAMODB: "aws",
      CONVERSATIONS_TABLE: "mine",
      AWS_REGION: "eu-west-1",
      AWS_ACCESS_KEY_ID: "AKIA",
    };
    const stack = await open(env);
    expect(kinds(stack)).toEqual({
      Model: "real",
      Weather: "real",
      Holidays: "real",
      Redis: "real",
      Store: "real",
      API: "local",
    });
    expect(stack.env).toMatchObject(env);
    expect(stack.env).not.toHaveProperty("AWS_ENDPOINT_URL_DYNAMODB");
    expect(stack.env).not.toHaveProperty("OPENAI_BASE_URL");
  });

  test.each<[Record<string, string>, string]>([
    [{ WEATHER_API_KEY: "w" }, "api.weatherapi.com, then api.open-meteo.com"],
    [{ WEATHER_PROVIDERS: "open-meteo" }, "api.open-meteo.com"],
    [
      { WEATHER_PROVIDERS: "open-meteo,weatherapi", WEATHER_API_KEY: "w" },
      "api.open-meteo.com, then api.weatherapi.com",
    ],
    [{ OPEN_METEO_API_KEY: "c" }, "customer-api.open-meteo.com"],
    [{ OPEN_METEO_URL: "http://weather.example:8080/v1" }, "weather.example:8080"],
  ])("weather by %j is real, and nothing simulated stands in for a part of it", async (env, what) => {
    const stack = await open(env);
    expect(stack.summary).toContainEqual({ part: "Weather", kind: "real", what });
    const names = Object.keys(stack.env).filter((name) => /^(WEATHER|OPEN_METEO)_/.test(name));
    expect(names.toSorted()).toEqual(Object.keys(env).toSorted());
  });

  test("with one weather provider down the other answers; with both down the answer says so", async () => {
    const stack = await open();
    const fail = async (setting: string) => {
      const { origin } = new URL(stack.env[setting] ?? "");
      const body = JSON.stringify({ status: 503 });
      expect((await fetch(`${origin}/_control/faults`, { method: "POST", body })).status).toBe(200);
    };
    const ask = async (message: string) =>
      String((await api(stack, "POST", "/v1/conversations", { message })).json["reply"]);
    await fail("WEATHER_API_URL");
    expect(await ask("What's the weather in Lisbon?")).toMatch(
      /^In Lisbon, Lisboa, Portugal it is now -?[\d.]+ °C, .* \(simulated\)/,
    );
    await fail("OPEN_METEO_URL");
    expect(await ask("What's the weather in Quito?")).toBe(
      "I could not get the weather for Quito: The weather service is unavailable right now.",
    );
    // What is kept is fresh yet.
    expect(await ask("What's the weather in Lisbon?")).toMatch(/^In Lisbon, Lisboa, Portugal it is now/);
  });

  test("holidays of a country need no calendar", async () => {
    const stack = await open();
    const message = "Which holidays are there in Japan in May 2027?";
    const { json } = await api(stack, "POST", "/v1/conversations", { message });
    expect(json["reply"]).toContain("- Tuesday 2027-05-04: Greenery Day (みどりの日)");
  });

  test("a model server of one's own needs no key, and a real account's profile stays out of a local store", async () => {
    const stack = await open({
      OPENAI_BASE_URL: "http://localhost:11434/v1",
      AWS_PROFILE: "work",
      AWS_ACCESS_KEY_ID: "AKIA",
      AWS_SESSION_TOKEN: "s",
    });
    expect(kinds(stack)["Model"]).toBe("real");
    expect(stack.env).toMatchObject({
      OPENAI_BASE_URL: "http://localhost:11434/v1",
      OPENAI_API_KEY: expect.stringMatching(/./),
      AWS_ACCESS_KEY_ID: "local",
    });
    expect(stack.env).not.toHaveProperty("AWS_PROFILE");
    expect(stack.env).not.toHaveProperty("AWS_SESSION_TOKEN");
  });

  test.each([
    [{ UPSTASH_REDIS_REST_URL: "https://redis.example" }, "UPSTASH_REDIS_REST_TOKEN is not"],
    [{ DYNAMODB: "aws" }, "CONVERSATIONS_TABLE"],
    [{ REDIS_URL: "redis://127.0.0.1:1" }, "REDIS_URL"],
    [{ WEATHER_PROVIDERS: "accuweather" }, "WEATHER_PROVIDERS: knows weatherapi, open-meteo"],
    [{ WEATHER_PROVIDERS: "weatherapi" }, "WEATHER_API_KEY: is not set"],
  ])("%j is refused in a sentence", async (env, sentence) => {
    await expect(open(env)).rejects.toThrow(sentence);
    // All that had started was closed, the store's folder above all.
    expect(kinds(await open())["Store"]).toBe("local");
  });

  test("conversations outlive it", async () => {
    const first = await open();
    const started = await api(first, "POST", "/v1/conversations", {
      message: "What's the weather in Barcelona?",
    });
    expect(started.status).toBe(201);
    await opened.pop()?.close();

    const second = await open();
    const id = String(started.json["conversation_id"]);
    const continued = await api(second, "POST", `/v1/conversations/${id}/messages`, {
      message: "And tomorrow?",
    });
    expect(continued.json["reply"]).toContain("Barcelona");
    const { json } = await api(second, "GET", "/v1/conversations");
    expect(json["conversations"]).toMatchObject([{ id }]);
  });

  test("the store is in memory for whoever comes second to the folder", async () => {
    await open();
    const second = await open();
    expect(second.summary.find(({ part }) => part === "Store")?.what).toContain("in memory");
    expect((await api(second, "GET", "/v1/conversations")).json["conversations"]).toEqual([]);
  });

  test("a port that is taken is refused with EADDRINUSE, and nothing is left open", async () => {
    const port = Number(new URL((await open()).url).port);
    await expect(open({}, { port })).rejects.toMatchObject({ code: "EADDRINUSE", port });
  });
});
