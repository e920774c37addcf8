import { GetCommand } from "@aws-sdk/lib-dynamodb";
import { createDynamoClient } from "@parley/core/conversation/dynamo-client";
import { tableDefinition } from "@parley/core/conversation/dynamo-table";
import { DynamoOutbox } from "@parley/core/telegram/dynamo-outbox";
import { MongoOutbox } from "@parley/core/telegram/mongo-outbox";
import { ensureTable } from "@parley/local/dynamodb/ensure-table";
import { startDynamo } from "@parley/local/dynamodb/server";
import type { Fault } from "@parley/local/faults";
import { startMongo } from "@parley/local/mongodb/server";
import { ConfiguredRetryStrategy } from "@smithy/core/retry";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startDynamoLocal } from "../support/dynamodb-local.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { type MongoUnderTest, mongoDatabase, realMongo, tellSkipped } from "../support/mongodb.ts";
import { entryOf } from "../support/outbox-entries.ts";
import { outboxContract } from "./outbox.ts";

const TABLE = "conversations";
/** As many tries as the SDK makes by itself. */
const TRIES = 4;

/** The SDK's own repetitions without its waits, and before each of them whatever a test has to do. */
class TestRetries extends ConfiguredRetryStrategy {
  before: () => Promise<unknown> = async () => {};

  constructor() {
    super(TRIES, () => 1);
  }

  override async refreshRetryTokenForRetry(
    ...args: Parameters<ConfiguredRetryStrategy["refreshRetryTokenForRetry"]>
  ) {
    await this.before();
    return super.refreshRetryTokenForRetry(...args);
  }
}

async function outboxesOn(engine: { url: string; close(): Promise<void> }) {
  await ensureTable(engine.url, tableDefinition(TABLE));
  const clock = new ManualClock();
  const clients: ReturnType<typeof createDynamoClient>[] = [];
  function worker() {
    const retryStrategy = new TestRetries();
    const client = createDynamoClient({
      endpoint: engine.url,
      region: "us-east-1",
      credentials: { accessKeyId: "local", secretAccessKey: "local" },
      retryStrategy,
    });
    clients.push(client);
    return { client, retryStrategy, outbox: new DynamoOutbox({ client, table: TABLE, clock }) };
  }
  return {
    clock,
    worker,
    connect: () => worker().outbox,
    async close() {
      for (const client of clients) client.destroy();
      await engine.close();
    },
  };
}

outboxContract("DynamoDB, the stand-in", async () => outboxesOn(await startDynamo()));

const amazon = await startDynamoLocal();
if ("url" in amazon) outboxContract("DynamoDB, Amazon's DynamoDB Local", () => outboxesOn(amazon));
else
  process.stdout.write(
    `the outbox's contract was not run on Amazon's DynamoDB Local: ${amazon.unavailable}\n`,
  );

async function mongoOutboxesOn(engine: MongoUnderTest) {
  const { database, db, client, close } = await mongoDatabase(engine);
  const clock = new ManualClock();
  return { clock, db, connect: () => new MongoOutbox({ client: client(), database, clock }), close };
}

outboxContract("MongoDB, the stand-in", async () => mongoOutboxesOn(await startMongo()));

const real = realMongo();
if (real) outboxContract("MongoDB at MONGODB_URI", () => mongoOutboxesOn(real));
else tellSkipped("the outbox's contract");

describe("the outbox on MongoDB", () => {
  let mongo: Awaited<ReturnType<typeof startMongo>>;
  let under: Awaited<ReturnType<typeof mongoOutboxesOn>>;
  let ours: MongoOutbox;
  let theirs: MongoOutbox;

  beforeAll(async () => {
    mongo = await startMongo();
    under = await mongoOutboxesOn(mongo);
    [ours, theirs] = [under.connect(), under.connect()];
  });
  afterAll(() => under?.close());

  const states = async (id: string) => (await theirs.get(id))?.parts.map(({ state }) => state);

  test("an entry is removed by itself 48 hours after its update, when Telegram has long given it up", async () => {
    const { id } = (await ours.open(entryOf(1))).entry;
    const outbox = under.db.collection<{ _id: string; expires_at: Date }>("outbox");
    expect((await outbox.findOne({ _id: id }))?.expires_at).toEqual(
      new Date(under.clock.now() + 48 * 3_600_000),
    );
    const indexes = await outbox.indexes();
    expect(indexes).toContainEqual(
      expect.objectContaining({ key: { expires_at: 1 }, expireAfterSeconds: 0 }),
    );
  });

  const writes: [
    name: string,
    write: (outbox: MongoOutbox, id: string) => Promise<unknown>,
    after: string[],
  ][] = [
    [
      "open",
      async (outbox, id) => (await outbox.open(entryOf(3, { id }))).created,
      ["sending", "pending", "pending"],
    ],
    ["take", (outbox, id) => outbox.take(id, 1), ["sending", "sending", "pending"]],
    ["settle", (outbox, id) => outbox.settle(id, 0, "sent", true), ["sent", "sending", "pending"]],
  ];

  describe.each(writes)("%s", (name, write, after) => {
    const operation = name === "open" ? "insert" : "update";
    async function prepared(): Promise<string> {
      const entry = entryOf(3);
      if (name !== "open") await theirs.open(entry);
      return entry.id;
    }

    test.each(["drop-after", "drop-before", "error", "throttle"] as const)(
      "that meets %s is done once, by us",
      async (kind) => {
        const id = await prepared();
        mongo.inject({ operation, kind });
        expect(await write(ours, id)).toBe(true);
        expect(await states(id)).toEqual(after);
        expect(await write(theirs, id)).toBe(false);
      },
    );

    test("whose answers are all lost fails as unavailable, and is not done twice", async () => {
      const id = await prepared();
      const lift = mongo.inject({ operation, kind: "drop-after", times: Number.POSITIVE_INFINITY });
      await expect(write(ours, id)).rejects.toMatchObject({ code: "unavailable" });
      lift();
      expect(await states(id)).toEqual(after);
      expect(await write(ours, id)).toBe(false);
    });
  });
});

describe("the outbox on DynamoDB", () => {
  let dynamo: Awaited<ReturnType<typeof startDynamo>>;
  let under: Awaited<ReturnType<typeof outboxesOn>>;
  let ours: ReturnType<(typeof under)["worker"]>;
  let theirs: DynamoOutbox;
  let lifts: (() => void)[];

  beforeAll(async () => {
    dynamo = await startDynamo();
    under = await outboxesOn(dynamo);
    theirs = under.connect();
  });
  afterAll(() => under?.close());
  beforeEach(() => {
    ours = under.worker();
    lifts = [];
  });
  afterEach(() => {
    for (const lift of lifts) lift();
  });

  const inject = (fault: Fault) => lifts.push(dynamo.inject(fault));

  const states = async (id: string) => (await theirs.get(id))?.parts.map(({ state }) => state);

  test("an entry is removed by itself 48 hours after its update, when Telegram has long given it up", async () => {
    const { id } = (await ours.outbox.open(entryOf(1))).entry;
    const { Item } = await ours.client.send(
      new GetCommand({ TableName: TABLE, Key: { pk: `OUTBOX#${id}`, sk: "OUTBOX" } }),
    );
    expect(Item?.["expires_at"]).toBe(Math.floor(under.clock.now() / 1_000) + 48 * 3_600);
  });

  /** Every write, on an entry of three parts: what it is, and the states after it. */
  const writes: [
    name: string,
    operation: string,
    write: (outbox: DynamoOutbox, id: string) => Promise<unknown>,
    after: string[],
  ][] = [
    [
      "open",
      "PutItem",
      async (outbox, id) => (await outbox.open(entryOf(3, { id }))).created,
      ["sending", "pending", "pending"],
    ],
    ["take", "UpdateItem", (outbox, id) => outbox.take(id, 1), ["sending", "sending", "pending"]],
    [
      "settle",
      "UpdateItem",
      (outbox, id) => outbox.settle(id, 0, "sent", false),
      ["sent", "pending", "pending"],
    ],
    [
      "settle with the next part",
      "UpdateItem",
      (outbox, id) => outbox.settle(id, 0, "sent", true),
      ["sent", "sending", "pending"],
    ],
  ];

  /** An id, and in the outbox what the write needs. */
  async function prepared(operation: string): Promise<string> {
    const entry = entryOf(3);
    if (operation === "UpdateItem") await theirs.open(entry);
    return entry.id;
  }

  describe.each(writes)("%s", (_name, operation, write, after) => {
    test.each(["drop-after", "drop-before", "error", "throttle"] as const)(
      "that meets %s but for its last try is done once, by us",
      async (kind) => {
        const id = await prepared(operation);
        inject({ operation, kind, times: TRIES - 1 });
        expect(await write(ours.outbox, id)).toBe(true);
        expect(await states(id)).toEqual(after);
        expect(await write(theirs, id)).toBe(false);
      },
    );

    test("whose answers are all lost fails, and is not done twice", async () => {
      const id = await prepared(operation);
      inject({ operation, kind: "drop-after", times: TRIES });
      await expect(write(ours.outbox, id)).rejects.toThrow();
      expect(await states(id)).toEqual(after);
      expect(await write(ours.outbox, id)).toBe(false);
    });
  });

  test("open whose answer was lost, repeated when another worker has gone on, is told what stands", async () => {
    const entry = entryOf(2);
    inject({ operation: "PutItem", kind: "drop-after" });
    ours.retryStrategy.before = () => theirs.settle(entry.id, 0, "uncertain", true);
    const { created, entry: standing } = await ours.outbox.open(entry);
    expect(created).toBe(false);
    expect(standing.parts.map(({ state }) => state)).toEqual(["uncertain", "sending"]);
  });

  test("settle whose answer was lost, repeated when another worker has gone on, takes nothing back", async () => {
    const { id } = (await ours.outbox.open(entryOf(2))).entry;
    inject({ operation: "UpdateItem", kind: "drop-after" });
    ours.retryStrategy.before = () => theirs.settle(id, 1, "uncertain", false);
    expect(await ours.outbox.settle(id, 0, "sent", true)).toBe(false);
    expect(await states(id)).toEqual(["sent", "uncertain"]);
  });

  test("take whose answer was lost, repeated when another worker has given up on the part, is refused", async () => {
    const { id } = (await theirs.open(entryOf(2))).entry;
    await theirs.settle(id, 0, "sent", false);
    inject({ operation: "UpdateItem", kind: "drop-after" });
    ours.retryStrategy.before = () => theirs.settle(id, 1, "uncertain", false);
    expect(await ours.outbox.take(id, 1)).toBe(false);
    expect(await states(id)).toEqual(["sent", "uncertain"]);
  });
});
