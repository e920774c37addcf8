import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BOT } from "../support/bot-api.ts";
import { startFiles } from "../support/bundle.ts";
import { KEY } from "../support/deployment.ts";
import { sendJson } from "../support/http.ts";
import { unpack } from "../support/sst/archives.ts";
import { type Deployed, startDeployed } from "../support/sst/deployed.ts";
import { SECRETS } from "../support/sst/diff.ts";
import { stageGraph } from "../support/sst/stages.ts";
import { speakers } from "../support/telegram-speaker.ts";

/** What `STORE=mongodb sst diff` built, on our own MongoDB: the driver as it is bundled, and nothing of DynamoDB. */

const graph = stageGraph("mongodb");
let deployed: Deployed;
beforeAll(async () => {
  deployed = await startDeployed(graph);
});
afterAll(() => deployed?.close());

const call = (method: string, path: string, json?: object) =>
  sendJson(deployed.url, { method, path, json, headers: { "x-api-key": KEY.secret } });

test("holds a conversation, and erases it", async () => {
  const started = await call("POST", "/v1/conversations", { message: "What's the weather in Barcelona?" });
  expect(started).toMatchObject({ status: 201, json: { reply: expect.stringContaining("Barcelona") } });
  const path = `/v1/conversations/${started.json["conversation_id"]}`;
  expect(await call("POST", `${path}/messages`, { message: "And tomorrow?" })).toMatchObject({
    status: 200,
    json: { reply: expect.stringContaining("Barcelona") },
  });
  expect((await call("GET", "/v1/conversations")).json).toMatchObject({
    conversations: [{ id: started.json["conversation_id"] }],
  });
  expect((await call("GET", path)).json).toMatchObject({ conversation: { messages: { length: 4 } } });
  expect(await call("GET", `${path}/export`)).toMatchObject({
    status: 200,
    json: { messages: { length: 4 } },
  });
  expect(await call("DELETE", path)).toMatchObject({ status: 204 });
  expect(await call("GET", path)).toMatchObject({ status: 404 });
  expect(await sendJson(deployed.url, { path: "/ready" })).toMatchObject({
    status: 200,
    json: { store: { ok: true } },
  });
});

test("answers Telegram through receiver, queue and worker", async () => {
  const { control } = deployed.botApi;
  await deployed.botApi.call("setWebhook", {
    url: `${deployed.url}/telegram/${BOT.username}`,
    secret_token: SECRETS.TelegramWebhookSecret,
  });
  const { id } = await control.createUser({});
  await control.createPrivateChat({ user: id });
  const person = speakers(control)({ chat: id, from: id });
  expect((await person.ask("What's the weather in Barcelona?")).text).toContain("Barcelona");
});

test.each([
  ["mongodb", "StartConversation", { starts: false, ships: true }, { starts: false, ships: false }],
  ["production", "StartConversation", { starts: false, ships: false }, { starts: true, ships: true }],
] as const)("of the two stores %s's functions have their own alone", async (stage, name, mongo, dynamo) => {
  const folder = await unpack(stageGraph(stage), name);
  const read = async (files: readonly string[]) =>
    (await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")))).join("\n");
  const all = await read((await readdir(folder)).filter((file) => file.endsWith(".mjs")));
  const start = await read(await startFiles(folder));
  const has = (words: RegExp) => ({ starts: words.test(start), ships: words.test(all) });
  expect(has(/MongoServerSelectionError/)).toEqual(mongo);
  expect(has(/DynamoDB_20120810/)).toEqual(dynamo);
});
