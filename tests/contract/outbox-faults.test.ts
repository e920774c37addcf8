import type { Outbox } from "@parley/core/telegram/outbox";
import { startDynamo } from "@parley/local/dynamodb/server";
import type { Fault } from "@parley/local/faults";
import { startMongo } from "@parley/local/mongodb/server";
import { ConfiguredRetryStrategy } from "@smithy/core/retry";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ManualClock } from "../support/manual-clock.ts";
import { entryOf } from "../support/outbox-entries.ts";
import { dynamoStores, mongoStores, type Stores } from "../support/stores.ts";

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

/** Those of the worker that was made last. */
let retries: TestRetries;

function newRetries() {
  retries = new TestRetries();
  return { retryStrategy: retries };
}

/** Each engine, its names of the requests that open an entry and change one, and how many failures in a row it outlives. */
const ENGINES = [
  {
    name: "DynamoDB",
    async start() {
      const { inject, ...engine } = await startDynamo();
      return { inject, stores: await dynamoStores(engine, newRetries) };
    },
    opens: "PutItem",
    changes: "UpdateItem",
    outlives: TRIES - 1,
  },
  {
    name: "MongoDB",
    async start() {
      const { inject, ...engine } = await startMongo();
      return { inject, stores: await mongoStores(engine) };
    },
    opens: "insert",
    changes: "update",
    outlives: 1,
  },
];

/** Every write, on an entry of three parts: what it is, and the states after it. */
const WRITES: {
  name: string;
  isOpen?: boolean;
  write(outbox: Outbox, id: string): Promise<unknown>;
  after: string[];
}[] = [
  {
    name: "open",
    isOpen: true,
    write: async (outbox, id) => (await outbox.open(entryOf(3, { id }))).created,
    after: ["sending", "pending", "pending"],
  },
  { name: "take", write: (outbox, id) => outbox.take(id, 1), after: ["sending", "sending", "pending"] },
  {
    name: "settle",
    write: (outbox, id) => outbox.settle(id, 0, "sent", false),
    after: ["sent", "pending", "pending"],
  },
  {
    name: "settle with the next part",
    write: (outbox, id) => outbox.settle(id, 0, "sent", true),
    after: ["sent", "sending", "pending"],
  },
];

let stores: Stores;
let ours: Outbox;
let theirs: Outbox;
let inject: (fault: Fault) => void;
const lifts: (() => void)[] = [];

/** An engine for the tests of a `describe`. */
function on({ start }: Pick<(typeof ENGINES)[number], "start">): void {
  beforeAll(async () => {
    const started = await start();
    stores = started.stores;
    theirs = stores.outbox();
    inject = (fault) => lifts.push(started.inject(fault));
  });
  afterAll(() => stores?.close());
  beforeEach(() => {
    ours = stores.outbox();
  });
  afterEach(() => {
    for (const lift of lifts.splice(0)) lift();
  });
}

const states = async (id: string) => (await theirs.get(id))?.parts.map(({ state }) => state);

describe.each(ENGINES)("the outbox on $name", ({ start, opens, changes, outlives }) => {
  on({ start });

  describe.each(WRITES)("$name", ({ isOpen = false, write, after }) => {
    const operation = isOpen ? opens : changes;

    /** An id, and in the outbox what the write needs. */
    async function prepared(): Promise<string> {
      const entry = entryOf(3);
      if (!isOpen) await theirs.open(entry);
      return entry.id;
    }

    test.each(["drop-after", "drop-before", "error", "throttle"] as const)(
      "that meets %s but for its last try is done once, by us",
      async (kind) => {
        const id = await prepared();
        inject({ operation, kind, times: outlives });
        expect(await write(ours, id)).toBe(true);
        expect(await states(id)).toEqual(after);
        expect(await write(theirs, id)).toBe(false);
      },
    );

    test("whose answers are all lost fails, and is not done twice", async () => {
      const id = await prepared();
      inject({ operation, kind: "drop-after", times: Number.POSITIVE_INFINITY });
      await expect(write(ours, id)).rejects.toMatchObject({ code: "unavailable" });
      for (const lift of lifts.splice(0)) lift();
      expect(await states(id)).toEqual(after);
      expect(await write(ours, id)).toBe(false);
    });
  });
});

describe("the outbox on DynamoDB, its answer lost and repeated", () => {
  on(ENGINES[0] as (typeof ENGINES)[number]);

  test("open, when another worker has gone on, is told what stands", async () => {
    const entry = entryOf(2);
    inject({ operation: "PutItem", kind: "drop-after" });
    retries.before = () => theirs.settle(entry.id, 0, "uncertain", true);
    const { created, entry: standing } = await ours.open(entry);
    expect(created).toBe(false);
    expect(standing.parts.map(({ state }) => state)).toEqual(["uncertain", "sending"]);
  });

  test("settle, when another worker has gone on, takes nothing back", async () => {
    const { id } = (await ours.open(entryOf(2))).entry;
    inject({ operation: "UpdateItem", kind: "drop-after" });
    retries.before = () => theirs.settle(id, 1, "uncertain", false);
    expect(await ours.settle(id, 0, "sent", true)).toBe(false);
    expect(await states(id)).toEqual(["sent", "uncertain"]);
  });

  test("take, when another worker has given up on the part, is refused", async () => {
    const { id } = (await theirs.open(entryOf(2))).entry;
    await theirs.settle(id, 0, "sent", false);
    inject({ operation: "UpdateItem", kind: "drop-after" });
    retries.before = () => theirs.settle(id, 1, "uncertain", false);
    expect(await ours.take(id, 1)).toBe(false);
    expect(await states(id)).toEqual(["sent", "uncertain"]);
  });
});

test("an entry whose 48 hours are over is gone from MongoDB", async () => {
  const own = await mongoStores(await startMongo({ sweepEveryMs: 20 }));
  try {
    const outbox = own.outbox(new ManualClock(Date.now() - 48 * 3_600_000 + 500));
    const { id } = (await outbox.open(entryOf(1))).entry;
    expect(await outbox.get(id)).toMatchObject({ id });
    await expect.poll(() => outbox.get(id)).toBeUndefined();
  } finally {
    await own.close();
  }
});
