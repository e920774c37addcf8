import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BOT } from "../support/bot-api.ts";
import { current, twirpClient } from "../support/chat-protocol.ts";
import { KEY } from "../support/deployment.ts";
import { type Call, send, sendJson } from "../support/http.ts";
import { type Deployed, startDeployed } from "../support/sst/deployed.ts";
import { SECRETS } from "../support/sst/diff.ts";
import { stageGraph } from "../support/sst/stages.ts";
import { speakers } from "../support/telegram-speaker.ts";

let deployed: Deployed;
beforeAll(async () => {
  deployed = await startDeployed(stageGraph("production"), { env: { RETRY_BASE_DELAY_MS: "5" } });
});
afterAll(() => deployed?.close());

const auth = { "x-api-key": KEY.secret };
const call = (method: string, path: string, json?: object) =>
  sendJson(deployed.url, { method, path, json, headers: auth });
const fetchIt = (options: Call) => send(deployed.url, options);

describe("what sst diff built, under the graph's environment and policies", () => {
  test("holds a conversation over REST: starts, continues, lists, describes, exports, deletes", async () => {
    const started = await call("POST", "/v1/conversations", { message: "What's the weather in Barcelona?" });
    expect(started).toMatchObject({ status: 201, json: { reply: expect.stringContaining("Barcelona") } });
    const path = `/v1/conversations/${started.json["conversation_id"]}`;

    const continued = await call("POST", `${path}/messages`, { message: "And tomorrow?" });
    expect(continued).toMatchObject({ status: 200, json: { reply: expect.stringContaining("Barcelona") } });
    const listed = await call("GET", "/v1/conversations");
    expect(listed.json).toMatchObject({ conversations: [{ id: started.json["conversation_id"] }] });
    const described = await call("GET", path);
    expect(described.json).toMatchObject({ conversation: { messages: { length: 4 } } });
    expect(await call("GET", `${path}/export`)).toMatchObject({
      status: 200,
      json: { messages: { length: 4 } },
    });
    const paths = deployed.model.requests.map(({ path: asked }) => asked);
    expect(new Set(paths)).toEqual(new Set(["/v1/responses"]));
    expect(await call("DELETE", path)).toMatchObject({ status: 204 });
    expect(await call("GET", path)).toMatchObject({ status: 404, json: { code: "not_found" } });
  });

  test("holds one by session, with a tool that reads a calendar", async () => {
    const session_metadata = { platform: "api", user_id: "ada", chat_id: "desk" };
    const turn = await call("POST", "/v1/messages", {
      message: "When is the next holiday?",
      session_metadata,
    });
    expect(turn).toMatchObject({ status: 200, json: { reply: expect.stringMatching(/\d{4}|holiday/i) } });
    const ask = { message: "My dog is called Laika", session_metadata };
    const again = await call("POST", "/v1/messages", ask);
    expect(again.json["conversation_id"]).toBe(turn.json["conversation_id"]);
  });

  test("asks the second weather provider when the first is down", async () => {
    deployed.weather.inject({ status: 503 });
    const turn = await call("POST", "/v1/conversations", { message: "What's the weather in Reykjavik?" });
    deployed.weather.reset();
    expect(turn).toMatchObject({ status: 201, json: { reply: expect.stringMatching(/Reykjavik.* °C/) } });
    expect(deployed.openMeteo.total()).toBe(2);
  });

  test("knows the holidays of a country by the rules beside its code", async () => {
    const message = "Which holidays are there in Japan in May 2027?";
    const turn = await call("POST", "/v1/conversations", { message });
    expect(turn).toMatchObject({
      status: 201,
      json: { reply: expect.stringContaining("2027-05-04: Greenery Day (みどりの日)") },
    });
  });

  test("gives the same answer to the same Idempotency-Key", async () => {
    const once = {
      path: "/v1/conversations",
      headers: { ...auth, "idempotency-key": "once" },
      json: { message: "Hi" },
    };
    const first = await sendJson(deployed.url, once);
    const second = await sendJson(deployed.url, once);
    expect(second.json).toEqual(first.json);
    expect(second.headers["idempotent-replayed"]).toBe("true");
  });

  test.each([{ encoding: "JSON" }, { encoding: "protobuf" }])(
    "speaks Twirp in $encoding",
    async ({ encoding }) => {
      const client = twirpClient(current, { url: deployed.url, meta: auth, sendJson: encoding === "JSON" });
      const { response: started } = await client.start({ message: "Hello" });
      const { conversationId } = started;
      const { response: continued } = await client.continue({ conversationId, message: "Hello again" });
      expect(continued.reply).not.toBe("");
      const { response: listed } = await client.list({});
      expect(listed.conversations.map(({ id }) => id)).toContain(conversationId);
      const { response: described } = await client.describe({ conversationId });
      expect(described.conversation?.messages).toHaveLength(4);
    },
  );

  test("answers Telegram through receiver, queue and worker", async () => {
    const { control } = deployed.botApi;
    await deployed.botApi.call("setWebhook", {
      url: `${deployed.url}/telegram/${BOT.username}`,
      secret_token: SECRETS.TelegramWebhookSecret,
    });
    const { id } = await control.createUser({});
    await control.createPrivateChat({ user: id });
    const person = speakers(control)({ chat: id, from: id });
    const { text } = await person.ask("What's the weather in Barcelona?");
    expect(text).toContain("Barcelona");
    // Of an update that fails, and comes back after seconds.
    deployed.model.inject({ status: 500, bodyIncludes: "Atlantis", times: 4 });
    expect((await person.ask("What's the weather in Atlantis?")).text).toMatch(/\S/);
    expect((await person.ask("Holidays in Japan in May 2027?")).text).toContain("Greenery Day");
    await deployed.poller.idle();
    expect(deployed.queue.peek(deployed.dead)).toEqual([]);
    // Redis's state of a chat, which the receiver keeps.
    expect((await person.ask("/stop")).text).toMatch(/\S/);
  });

  test("refuses an update without the webhook's secret", async () => {
    const update = { method: "POST", path: `/telegram/${BOT.username}`, json: { update_id: 1 } };
    expect(await sendJson(deployed.url, update)).toMatchObject({ status: 401 });
  });

  test("tells that it is healthy, and that what it needs answers", async () => {
    expect(await sendJson(deployed.url, { path: "/health" })).toMatchObject({
      status: 200,
      json: { status: "ok", version: "0.1.0", region: "us-east-1" },
    });
    expect(await sendJson(deployed.url, { path: "/ready" })).toMatchObject({
      status: 200,
      json: { status: "ok", store: { ok: true }, redis: { ok: true } },
    });
  });

  test("serves its contract, and Swagger UI from its own archive", async () => {
    const document = await sendJson(deployed.url, { path: "/openapi.json" });
    expect(document).toMatchObject({ status: 200, json: { openapi: "3.1.0", info: { version: "0.1.0" } } });
    expect((await fetchIt({ path: "/docs" })).body.toString()).toContain("swagger-ui-bundle.js");
    for (const asset of ["swagger-ui.css", "swagger-ui-bundle.js", "start.js"]) {
      const { status, body } = await fetchIt({ path: `/docs/${asset}` });
      expect({ asset, status, empty: body.length === 0 }).toEqual({ asset, status: 200, empty: false });
    }
  });

  test("answers what no route takes, and no other origin", async () => {
    expect(await call("GET", "/v2/nothing")).toMatchObject({ status: 404, json: { code: "bad_route" } });
    const preflight = { origin: "https://elsewhere.example.com", "access-control-request-method": "POST" };
    const { status, headers } = await fetchIt({
      method: "OPTIONS",
      path: "/v1/messages",
      headers: preflight,
    });
    expect(status).toBe(404);
    expect(headers).not.toHaveProperty("access-control-allow-origin");
  });

  test("lets nobody in without a key", async () => {
    expect(await sendJson(deployed.url, { path: "/v1/conversations" })).toMatchObject({ status: 401 });
  });

  test("was refused nothing by its policies, and allowed nothing that it did not use", () => {
    expect(deployed.denied()).toEqual([]);
    const used = deployed.used();
    const allowed = deployed.graph.functions.flatMap((name) =>
      deployed.graph.policy(name).flatMap(({ Action }) => Action.map((action) => `${name}: ${action}`)),
    );
    expect(allowed.filter((each) => !used.has(each) && !each.includes(" xray:")).sort()).toEqual([]);
  });
});
