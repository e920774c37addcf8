import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Mongo, type MongoOptions, startMongo } from "@parley/local/mongodb/server";
import { type Db, type Document, MongoClient, type MongoClientOptions, ObjectId } from "mongodb";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { fc } from "../support/property.ts";

/** The MongoDB of the local stack, asked by the official driver: what the adapter needs, and what a developer may try. */

let mongo: Mongo;
let client: MongoClient;
let db: Db;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  mongo = await startMongo({ transactionLifetimeMs: 500 });
  client = new MongoClient(mongo.url, { minHeartbeatFrequencyMS: 10 } as MongoClientOptions);
  db = client.db("test");
});
afterAll(async () => {
  await client?.close();
  await mongo?.close();
});
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

let collections = 0;
const fresh = <T extends Document>() => db.collection<T>(`c${++collections}`);
const withoutId = (documents: Document[]) => documents.map(({ _id, ...rest }) => rest);

/** Another server, and a client of it. */
async function open(options: MongoOptions): Promise<{ mongo: Mongo; client: MongoClient }> {
  const opened = await startMongo(options);
  closing.push(() => opened.close());
  const own = new MongoClient(opened.url);
  closing.push(() => own.close());
  return { mongo: opened, client: own };
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "parley-mongo-"));
  closing.push(() => rm(path, { recursive: true }));
  return path;
}

describe("documents", () => {
  test("come back as they went in, whatever is in them", async () => {
    const things = fresh();
    const value = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        fc.string({ unit: "binary" }),
        fc.double({ noNaN: true }).filter((number) => !Object.is(number, -0)),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.date({ noInvalidDate: true }),
        fc.constant(new ObjectId()),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), tie("value"), { maxKeys: 3 }),
      ),
    })).value;
    await fc.assert(
      fc.asyncProperty(value, async (content) => {
        const { insertedId } = await things.insertOne({ content });
        expect((await things.findOne({ _id: insertedId }))?.["content"]).toEqual(content);
      }),
      { numRuns: 20 },
    );
  });

  test("are found, sorted, cut and projected", async () => {
    const things = fresh();
    await things.insertMany([3, 1, 2, 5, 4].map((n) => ({ n, even: n % 2 === 0, at: { n } })));
    const found = await things
      .find({ "at.n": { $gt: 1 } })
      .sort({ n: -1 })
      .skip(1)
      .limit(2)
      .project({ n: 1, _id: 0 })
      .toArray();
    expect(found).toEqual([{ n: 4 }, { n: 3 }]);
    expect(await things.countDocuments({ even: true })).toBe(2);
    expect((await things.distinct("even")).toSorted()).toEqual([false, true]);
    const sums = await things
      .aggregate([{ $group: { _id: "$even", sum: { $sum: "$n" } } }, { $sort: { _id: 1 } }])
      .toArray();
    expect(sums).toEqual([
      { _id: false, sum: 9 },
      { _id: true, sum: 6 },
    ]);
  });

  test("come in batches, by count and by bytes; a single batch ends there", async () => {
    const things = fresh();
    await things.insertMany(Array.from({ length: 250 }, (_, n) => ({ n })));
    const before = mongo.requests().byOperation["getMore"] ?? 0;
    expect(await things.find().toArray()).toHaveLength(250);
    expect(mongo.requests().byOperation["getMore"]).toBe(before + 1);
    expect(await things.find().batchSize(10).limit(35).toArray()).toHaveLength(35);
    expect(await things.find({}, { batchSize: 10, singleBatch: true }).toArray()).toHaveLength(10);

    const big = fresh();
    const text = "x".repeat(6 * 1024 * 1024);
    for (let n = 0; n < 3; n++) await big.insertOne({ n, text });
    expect(await big.find({}, { sort: { n: -1 }, limit: 3, singleBatch: true }).toArray()).toHaveLength(2);
    expect(await big.find().toArray()).toHaveLength(3);
    await expect(things.insertOne({ text: text.repeat(3) })).rejects.toThrow();
  });

  test("are updated by operators, by index in an array, and replaced; what did not change is not counted", async () => {
    const things = fresh<{
      _id: number;
      n?: number;
      parts?: { state: string }[];
      gone?: boolean;
      other?: boolean;
    }>();
    await things.insertOne({ _id: 1, n: 1, parts: [{ state: "a" }, { state: "b" }], gone: true });
    const change: Document = {
      $inc: { n: 2 },
      $set: { "parts.1.state": "c", "new.field": 1 },
      $unset: { gone: "" },
    };
    expect(await things.updateOne({ _id: 1, "parts.1.state": "b" }, change)).toMatchObject({
      matchedCount: 1,
      modifiedCount: 1,
    });
    const expected = { _id: 1, n: 3, parts: [{ state: "a" }, { state: "c" }], new: { field: 1 } };
    expect(await things.findOne({ _id: 1 })).toEqual(expected);
    expect(await things.updateOne({ _id: 1 }, { $set: { n: 3 } })).toMatchObject({
      matchedCount: 1,
      modifiedCount: 0,
    });
    expect(await things.updateOne({ _id: 1, "parts.1.state": "b" }, change)).toMatchObject({
      matchedCount: 0,
    });
    await expect(things.updateOne({ _id: 1 }, { $set: { _id: 2 } as Document })).rejects.toMatchObject({
      code: 66,
    });
    await things.replaceOne({ _id: 1 }, { other: true });
    expect(await things.find().toArray()).toEqual([{ _id: 1, other: true }]);
  });

  test("are upserted from the filter's equalities and the update", async () => {
    const things = fresh();
    const upsert = () =>
      things.updateOne(
        { a: "x", "b.c": 1, d: { $gt: 5 }, $or: [{ e: 1 }, { e: 2 }] },
        { $set: { n: 1 }, $setOnInsert: { first: true } },
        { upsert: true },
      );
    expect(await upsert()).toMatchObject({ matchedCount: 0, upsertedCount: 1 });
    expect(withoutId(await things.find().toArray())).toEqual([{ a: "x", b: { c: 1 }, first: true, n: 1 }]);
    await things.updateOne(
      { a: "x" },
      { $set: { n: 2, m: 1 }, $setOnInsert: { first: false } },
      { upsert: true },
    );
    expect(withoutId(await things.find().toArray())).toEqual([
      { a: "x", b: { c: 1 }, first: true, n: 2, m: 1 },
    ]);
  });

  test("are found and changed at once, before or after", async () => {
    const things = fresh<{ _id: string; n: number }>();
    const count = (id: string, options = {}) =>
      things.findOneAndUpdate({ _id: id }, { $inc: { n: 1 } }, { returnDocument: "after", ...options });
    expect(await count("a")).toBeNull();
    expect(await count("a", { upsert: true })).toEqual({ _id: "a", n: 1 });
    expect(await count("a", { returnDocument: "before" })).toEqual({ _id: "a", n: 1 });
    expect(await count("a", { projection: { _id: 0 } })).toEqual({ n: 3 });
    expect(await things.findOneAndDelete({ _id: "a" })).toEqual({ _id: "a", n: 3 });
    const numbers = await Promise.all(Array.from({ length: 20 }, () => count("b", { upsert: true })));
    expect(numbers.map((each) => each?.n).toSorted((a = 0, b = 0) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
  });

  test("an ordered command ends at its first error, an unordered one does the rest", async () => {
    const things = fresh<{ _id: number }>();
    const three = [{ _id: 1 }, { _id: 1 }, { _id: 2 }];
    await expect(things.insertMany(three)).rejects.toMatchObject({ code: 11000 });
    expect(await things.countDocuments()).toBe(1);
    await expect(things.insertMany(three, { ordered: false })).rejects.toMatchObject({ code: 11000 });
    expect(await things.countDocuments()).toBe(2);
    expect(await things.deleteMany({ _id: { $gte: 1 } })).toMatchObject({ deletedCount: 2 });
  });
});

describe("indexes", () => {
  test("unique ones refuse a key that is there, on every way in, and tell which", async () => {
    const things = fresh<{ owner: string; n: number; _id?: string }>();
    await things.createIndex({ owner: 1, n: 1 }, { unique: true, name: "one" });
    await things.insertOne({ owner: "a", n: 1 });
    await things.insertOne({ owner: "a", n: 2 });
    const duplicate = { code: 11000, keyPattern: { owner: 1, n: 1 }, keyValue: { owner: "a", n: 1 } };
    await expect(things.insertOne({ owner: "a", n: 1 })).rejects.toMatchObject(duplicate);
    await expect(things.updateOne({ n: 2 }, { $set: { n: 1 } })).rejects.toMatchObject(duplicate);
    await expect(things.findOneAndUpdate({ n: 2 }, { $inc: { n: -1 } })).rejects.toMatchObject(duplicate);
    await expect(
      things.updateOne({ owner: "a", n: 1, other: 1 }, { $set: { x: 1 } }, { upsert: true }),
    ).rejects.toMatchObject(duplicate);
    await things.deleteOne({ n: 1 });
    await things.insertOne({ owner: "a", n: 1 });
    await things.updateOne({ n: 1 }, { $set: { n: 7 } });
    await things.insertOne({ owner: "a", n: 1 });
    expect((await things.find().toArray()).map(({ n }) => n).toSorted()).toEqual([1, 2, 7]);
  });

  test("of one key inserted at once one is there", async () => {
    const things = fresh();
    await things.createIndex({ key: 1 }, { unique: true });
    const made = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) => things.insertOne({ key: 1, n })),
    );
    expect(made.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await things.countDocuments()).toBe(1);
  });

  test("are made once, listed, dropped, and refused when documents or another index do not allow them", async () => {
    const things = fresh();
    await expect(things.indexes()).rejects.toMatchObject({ code: 26 });
    await things.insertMany([{ a: 1 }, { a: 1 }]);
    await expect(things.createIndex({ a: 1 }, { unique: true })).rejects.toMatchObject({ code: 11000 });
    for (let twice = 0; twice < 2; twice++) await things.createIndex({ a: 1 }, { name: "a" });
    await expect(things.createIndex({ b: 1 }, { name: "a" })).rejects.toMatchObject({ code: 86 });
    await expect(things.createIndex({ a: 1 }, { name: "a", unique: true })).rejects.toMatchObject({
      code: 85,
    });
    await expect(things.createIndex({ a: "text" })).rejects.toMatchObject({ code: 67 });
    await expect(things.createIndex({ c: 1 }, { sparse: true })).rejects.toMatchObject({ code: 67 });
    expect((await things.indexes()).map(({ name }) => name)).toEqual(["_id_", "a"]);
    await things.dropIndex("a");
    expect(await things.indexes()).toHaveLength(1);
  });

  test("one with a time to live has documents removed when their moment has come", async () => {
    const { client: own } = await open({ sweepEveryMs: 20 });
    const things = own.db("test").collection<{ _id: string; at?: Date }>("things");
    await things.createIndex({ at: 1 }, { expireAfterSeconds: 10 });
    const ago = (seconds: number) => new Date(Date.now() - seconds * 1_000);
    await things.insertMany([{ _id: "old", at: ago(11) }, { _id: "young", at: ago(5) }, { _id: "without" }]);
    await vi.waitFor(async () => {
      expect((await things.find().toArray()).map(({ _id }) => _id)).toEqual(["young", "without"]);
    });
  });
});

describe("retryable writes", () => {
  test.each(["drop-after", "drop-before", "error", "throttle"] as const)(
    "%s: the write is done once",
    async (kind) => {
      const things = fresh<{ _id: string; n: number }>();
      await things.insertOne({ _id: "a", n: 0 });
      const calls: [operation: string, call: () => Promise<unknown>][] = [
        ["update", () => things.updateOne({ _id: "a" }, { $inc: { n: 1 } })],
        ["findAndModify", () => things.findOneAndUpdate({ _id: "a" }, { $inc: { n: 1 } })],
        ["insert", () => things.insertOne({ _id: "b", n: 0 })],
        ["delete", () => things.deleteOne({ _id: "b" })],
      ];
      for (const [operation, call] of calls) {
        mongo.inject({ operation, kind });
        await call();
      }
      expect(await things.find().toArray()).toEqual([{ _id: "a", n: 2 }]);
    },
  );
});

describe("transactions", () => {
  const pair = async () => {
    const things = fresh<{ _id: string; n: number }>();
    await things.insertMany([
      { _id: "a", n: 0 },
      { _id: "b", n: 0 },
    ]);
    const [one, other] = [client.startSession(), client.startSession()];
    closing.push(
      () => one.endSession(),
      () => other.endSession(),
    );
    one.startTransaction();
    other.startTransaction();
    const add = (id: string, session = one) => things.updateOne({ _id: id }, { $inc: { n: 1 } }, { session });
    return { things, one, other, add };
  };
  const conflict = { code: 112, errorLabels: ["TransientTransactionError"] };

  test("are seen by nobody before they are committed, and then whole", async () => {
    const { things, one, add } = await pair();
    await add("a");
    await things.insertOne({ _id: "c", n: 0 }, { session: one });
    await things.deleteOne({ _id: "b" }, { session: one });
    const seen = async (session?: typeof one) =>
      (await things.find({}, { sort: { _id: 1 }, ...(session && { session }) }).toArray()).map(
        ({ _id, n }) => `${_id}${n}`,
      );
    expect(await seen()).toEqual(["a0", "b0"]);
    expect(await seen(one)).toEqual(["a1", "c0"]);
    await one.commitTransaction();
    expect(await seen()).toEqual(["a1", "c0"]);
  });

  test("leave nothing when they are aborted, by the client, by an error, or by their age", async () => {
    const { things, one, other, add } = await pair();
    await add("a");
    await one.abortTransaction();
    await add("a", other);
    await expect(things.insertOne({ _id: "b", n: 0 }, { session: other })).rejects.toMatchObject({
      code: 11000,
    });
    await expect(add("b", other)).rejects.toMatchObject({ code: 251 });
    await other.abortTransaction();
    one.startTransaction();
    await add("a");
    // Nobody is in its way any more when it is too old.
    await things.updateOne({ _id: "a" }, { $inc: { n: 10 } });
    await expect(one.commitTransaction()).rejects.toMatchObject({ code: 251 });
    expect(await things.findOne({ _id: "a" })).toEqual({ _id: "a", n: 10 });
  });

  test("see what was there at their beginning, and lose to whoever has changed it since", async () => {
    const { things, one, add } = await pair();
    expect(await things.findOne({ _id: "b" }, { session: one })).toMatchObject({ n: 0 });
    await things.updateOne({ _id: "a" }, { $inc: { n: 10 } });
    expect(await things.findOne({ _id: "a" }, { session: one })).toMatchObject({ n: 0 });
    await expect(add("a")).rejects.toMatchObject(conflict);
  });

  test("lose to an open rival at once; a write outside waits for them", async () => {
    const { things, one, other, add } = await pair();
    await add("a");
    await expect(add("a", other)).rejects.toMatchObject(conflict);
    let isDone = false;
    const outside = things.updateOne({ _id: "a" }, { $inc: { n: 10 } }).then(() => {
      isDone = true;
    });
    await things.updateOne({ _id: "b" }, { $inc: { n: 1 } });
    expect(isDone).toBe(false);
    await one.commitTransaction();
    await outside;
    expect(await things.findOne({ _id: "a" })).toMatchObject({ n: 11 });
  });

  test("lose the race for a unique key", async () => {
    const { one, other } = await pair();
    const things = fresh<{ key: string }>();
    await things.createIndex({ key: 1 }, { unique: true });
    const insert = (session: typeof one) => things.insertOne({ key: "k" }, { session });
    await insert(one);
    await expect(insert(other)).rejects.toMatchObject(conflict);
    await other.abortTransaction();
    other.startTransaction();
    expect(await things.findOne({}, { session: other })).toBeNull();
    await one.commitTransaction();
    await expect(insert(other)).rejects.toMatchObject(conflict);
    await other.abortTransaction();
    other.startTransaction();
    await expect(insert(other)).rejects.toMatchObject({ code: 11000 });
  });

  test("are committed once, though the answer to it is lost", async () => {
    const { things, one, add } = await pair();
    await add("a");
    mongo.inject({ operation: "commitTransaction", kind: "drop-after" });
    await one.commitTransaction();
    await one.commitTransaction();
    expect(await things.findOne({ _id: "a" })).toMatchObject({ n: 1 });
  });

  test("of sums that move between documents at once, nothing is lost or seen half-way", async () => {
    const { things } = await pair();
    const move = (from: string, to: string) =>
      client.withSession((session) =>
        session.withTransaction(async () => {
          await things.updateOne({ _id: from }, { $inc: { n: -1 } }, { session });
          await things.updateOne({ _id: to }, { $inc: { n: 1 } }, { session });
        }),
      );
    const sum = async () => (await things.find().toArray()).reduce((total, { n }) => total + n, 0);
    const moves = Array.from({ length: 12 }, (_, index) => (index % 3 ? move("a", "b") : move("b", "a")));
    for (let look = 0; look < 20; look++) expect(await sum()).toBe(0);
    await Promise.all(moves);
    expect(await things.find({}, { sort: { _id: 1 } }).toArray()).toEqual([
      { _id: "a", n: -4 },
      { _id: "b", n: 4 },
    ]);
  });
});

describe("the data", () => {
  test("outlive the server with their indexes, what was committed and nothing else", async () => {
    const path = await folder();
    const first = await startMongo({ path });
    // It says goodbye to a server that is gone.
    const own = new MongoClient(first.url, { serverSelectionTimeoutMS: 500 });
    const things = own.db("test").collection<{ _id: string; key: string }>("things");
    await things.createIndex({ key: 1 }, { unique: true });
    await things.insertMany([
      { _id: "a", key: "1" },
      { _id: "b\u0000", key: "2" },
      { _id: "c", key: "3" },
    ]);
    await things.updateOne({ _id: "a" }, { $set: { key: "one" } });
    await things.deleteOne({ _id: "c" });
    const session = own.startSession();
    session.startTransaction();
    await things.insertOne({ _id: "open", key: "4" }, { session });
    await expect(startMongo({ path })).rejects.toThrow();
    await first.close();
    await own.close();

    const { client: later } = await open({ path });
    const found = later.db("test").collection<{ _id: string; key: string }>("things");
    expect(await found.find({}, { sort: { _id: 1 } }).toArray()).toEqual([
      { _id: "a", key: "one" },
      { _id: "b\u0000", key: "2" },
    ]);
    await expect(found.insertOne({ _id: "d", key: "2" })).rejects.toMatchObject({ code: 11000 });
    await later.db("test").dropDatabase();
    expect(await later.db("test").listCollections().toArray()).toEqual([]);
  });
});

describe("the wire", () => {
  test("counts requests and bytes, and not what the driver asks to watch the server", async () => {
    const things = fresh();
    await things.insertOne({});
    const before = mongo.requests();
    await things.insertOne({ text: "x".repeat(10_000) });
    await things.find().toArray();
    const after = mongo.requests();
    expect(after.count - before.count).toBe(2);
    expect(after.byOperation["insert"]).toBe((before.byOperation["insert"] ?? 0) + 1);
    expect(after.bytesIn - before.bytesIn).toBeGreaterThan(10_000);
    expect(after.bytesOut - before.bytesOut).toBeGreaterThan(10_000);
    expect(after.byOperation).not.toHaveProperty("hello");
  });

  test("what is not there is refused by name", async () => {
    await expect(db.command({ replSetGetStatus: 1 })).rejects.toMatchObject({ code: 59 });
    await expect(db.command({ constructor: 1 })).rejects.toMatchObject({ code: 59 });
    const things = fresh();
    await expect(things.find({ $where: "true" }).toArray()).rejects.toMatchObject({ code: 2 });
    await expect(things.find({ a: { $nope: 1 } }).toArray()).rejects.toMatchObject({ code: 2 });
    await expect(things.aggregate([{ $out: "x" }]).toArray()).rejects.toThrow("$out");
  });

  test.each([
    ["text", Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n")],
    ["a message without end", Buffer.from([0xff, 0xff, 0xff, 0x7f, ...Array(20).fill(0)])],
    ["a message shorter than its header", Buffer.from([4, 0, 0, 0, ...Array(20).fill(0)])],
    ["an operation of long ago", Buffer.from([16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 210, 7, 0, 0])],
    [
      "a broken document",
      Buffer.from([26, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 221, 7, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9]),
    ],
  ])("%s ends the connection, and hurts nobody else", async (_what, bytes) => {
    const socket = connect(Number(new URL(mongo.url).port), "127.0.0.1");
    const ended = new Promise((resolve) => socket.on("close", resolve));
    socket.on("error", () => {});
    socket.write(bytes);
    await ended;
    expect(await db.command({ ping: 1 })).toMatchObject({ ok: 1 });
  });

  test("a connection that hangs hangs alone", async () => {
    const things = fresh();
    await things.insertOne({});
    const lift = mongo.inject({ operation: "count", kind: "hang" });
    const hung = things.estimatedDocumentCount().catch(() => "ended");
    expect(await things.findOne()).not.toBeNull();
    lift();
    expect(await Promise.race([hung, Promise.resolve("waiting")])).toBe("waiting");
  });
});
