import type { Fault } from "@parley/local/simulators/faults";
import { type Host, json, startHost } from "@parley/local/simulators/http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let host: Host;
let answered: number;

beforeEach(async () => {
  answered = 0;
  host = await startHost({
    answer: ({ path, body }) => {
      answered += 1;
      return json(200, { path, body });
    },
    fail: (error) => json(error.status, { failed: error }),
    malformed: json(200, "broken"),
  });
});
afterEach(() => host.close());

const inject = (fault: unknown) =>
  fetch(`${host.origin}/_control/faults`, { method: "POST", body: JSON.stringify(fault) });

describe("faults", () => {
  test.each<[Fault, number, object]>([
    [{ status: 503 }, 503, { failed: { status: 503 } }],
    [
      { status: 429, code: "slow_down", message: "Slow down." },
      429,
      { failed: { status: 429, code: "slow_down", message: "Slow down." } },
    ],
    [{ code: 2007 }, 500, { failed: { status: 500, code: 2007 } }],
  ])("%j answers in the protocol's own words", async (fault, status, body) => {
    host.inject(fault);
    const response = await fetch(host.origin);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual(body);
    expect(answered).toBe(0);
  });

  test("retryAfterSeconds becomes the header", async () => {
    host.inject({ status: 429, retryAfterSeconds: 7 });
    expect((await fetch(host.origin)).headers.get("retry-after")).toBe("7");
  });

  test("a fault strikes `times` times, or until it is removed", async () => {
    host.inject({ status: 500, times: 2 });
    const statuses = [];
    for (let index = 0; index < 3; index += 1) statuses.push((await fetch(host.origin)).status);
    expect(statuses).toEqual([500, 500, 200]);

    const heal = host.inject({ status: 502 });
    for (let index = 0; index < 3; index += 1) expect((await fetch(host.origin)).status).toBe(502);
    heal();
    expect((await fetch(host.origin)).status).toBe(200);
  });

  test("only on its path and on bodies that contain what it names", async () => {
    host.inject({ status: 500, path: "/a" });
    host.inject({ status: 503, bodyIncludes: "tools" });
    const post = (path: string, body: string) => fetch(`${host.origin}${path}`, { method: "POST", body });
    expect((await post("/a/b", "")).status).toBe(500);
    expect((await post("/b", "no")).status).toBe(200);
    expect((await post("/b", "some tools")).status).toBe(503);
  });

  test("delayMs waits, then answers", async () => {
    host.inject({ delayMs: 80 });
    const started = performance.now();
    expect((await fetch(host.origin)).status).toBe(200);
    expect(performance.now() - started).toBeGreaterThan(75);
  });

  test("hang never answers, and close() ends it", async () => {
    host.inject({ hang: true });
    const hanging = fetch(host.origin);
    const first = await Promise.race([
      hanging,
      new Promise((resolve) => setTimeout(resolve, 100, "still waiting")),
    ]);
    expect(first).toBe("still waiting");
    const ended = expect(hanging).rejects.toThrow();
    await host.close();
    await ended;
    expect(answered).toBe(0);
  });

  test("cut destroys the socket in the middle of the body", async () => {
    host.inject({ cut: true, times: 1 });
    const response = await fetch(host.origin);
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
    expect((await fetch(host.origin)).status).toBe(200);
  });

  test("malformed is a 200 that does not parse", async () => {
    host.inject({ malformed: true });
    const response = await fetch(host.origin);
    expect(response.status).toBe(200);
    expect(await response.json()).toBe("broken");
  });
});

describe("control over HTTP", () => {
  test("POST adds, GET lists what is left, DELETE clears", async () => {
    expect((await inject({ status: 500, times: 2 })).status).toBe(200);
    expect((await fetch(host.origin)).status).toBe(500);
    const faults = await fetch(`${host.origin}/_control/faults`);
    expect(await faults.json()).toEqual({ faults: [{ status: 500, times: 1 }] });
    await fetch(`${host.origin}/_control/faults`, { method: "DELETE" });
    expect((await fetch(host.origin)).status).toBe(200);
  });

  test.each([
    [{ stauts: 500 }, 'a fault has no field "stauts"'],
    [{ status: "500" }, '"status" must be a number'],
    [{ status: 200 }, '"status" must be an error status'],
    [[], "a fault is a JSON object"],
    [{ constructor: 1 }, 'a fault has no field "constructor"'],
  ])("%j is refused", async (fault, message) => {
    const response = await inject(fault);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error: expect.stringContaining(message) });
    expect((await fetch(host.origin)).status).toBe(200);
  });

  test("control requests are neither recorded nor struck", async () => {
    host.inject({ status: 500 });
    const response = await fetch(`${host.origin}/_control/requests`);
    expect(await response.json()).toEqual({ total: 0, requests: [] });
  });
});

describe("recorded requests", () => {
  test("hold method, path and body, but no secrets", async () => {
    await fetch(`${host.origin}/v1/thing?key=secret1&q=Paris`, {
      method: "POST",
      headers: { authorization: "Bearer secret2", "x-api-key": "secret3", "x-other": "kept" },
      body: "🌦️",
    });
    expect(host.requests).toMatchObject([
      { method: "POST", path: "/v1/thing?key=[redacted]&q=Paris", headers: { "x-other": "kept" }, body: "🌦️" },
    ]);
    expect(JSON.stringify(host.requests)).not.toMatch(/secret\d/);
  });

  test("are bounded while the total goes on, and reset forgets both", async () => {
    for (let index = 0; index < 210; index += 1) await (await fetch(`${host.origin}/${index}`)).arrayBuffer();
    expect(host.total()).toBe(210);
    expect(host.requests).toHaveLength(200);
    expect(host.requests.at(-1)?.path).toBe("/209");
    host.reset();
    expect([host.total(), host.requests.length]).toEqual([0, 0]);
  });
});

test("a port that is taken is an error, close() can be called twice", async () => {
  const port = Number(new URL(host.origin).port);
  const options = { answer: () => json(200, {}), fail: () => json(500, {}), malformed: json(200, {}) };
  await expect(startHost({ ...options, port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  await host.close();
  await host.close();
  await expect(fetch(host.origin)).rejects.toThrow();
});
