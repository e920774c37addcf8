import { dynalite, type Item, type Table } from "./dynalite.ts";
import { validationError } from "./errors.ts";

const ITEM_BYTES = 400 * 1024;
const HASH_KEY_BYTES = 2048;
const RANGE_KEY_BYTES = 1024;

/**
 * Throws the ValidationException of DynamoDB for an item that it cannot hold and dynalite would take: dynalite
 * counts UTF-16 units for UTF-8 bytes, and stores an item with an empty index key.
 */
export function checkItem(item: Item, table: Table, verb: "put" | "update"): void {
  if (itemBytes(item) > ITEM_BYTES) {
    const subject = verb === "put" ? "Item size" : "Item size to update";
    throw validationError(`${subject} has exceeded the maximum allowed size`);
  }
  checkKey(Object.fromEntries(table.KeySchema.map(({ AttributeName: name }) => [name, item[name] ?? {}])));
  table.KeySchema.forEach(({ AttributeName }, position) => {
    const limit = position === 0 ? HASH_KEY_BYTES : RANGE_KEY_BYTES;
    if (Buffer.byteLength(text(item, AttributeName) ?? "") > limit) {
      throw validationError(
        `Hash primary key values must be under ${HASH_KEY_BYTES} bytes, and range primary key values must be under ${RANGE_KEY_BYTES} bytes`,
      );
    }
  });
  for (const { IndexName, KeySchema } of table.GlobalSecondaryIndexes ?? []) {
    const empty = KeySchema.find(({ AttributeName }) => text(item, AttributeName) === "");
    if (empty) {
      throw validationError(
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. " +
          `The AttributeValue for a key attribute cannot contain an empty string value. IndexName: ${IndexName}, IndexKey: ${empty.AttributeName}`,
      );
    }
  }
}

/** Throws ValidationException for a key with a lone surrogate: dynalite would take it for U+FFFD, and mix up items. */
export function checkKey(key: Item): void {
  for (const name of Object.keys(key)) {
    if (!(text(key, name) ?? "").isWellFormed()) {
      throw validationError(`One or more parameter values were invalid: Key ${name} holds a lone surrogate`);
    }
  }
}

/** The size that DynamoDB's limits are about: names and values in UTF-8. */
export function itemBytes(item: Item): number {
  return dynalite.itemSize(item) + multibyteExcess(item);
}

function text(item: Item, attribute: string): string | undefined {
  const value = item[attribute]?.["S"];
  return typeof value === "string" ? value : undefined;
}

/** Bytes that the strings and names within `value` need in UTF-8 beyond their length in UTF-16 units. */
function multibyteExcess(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value) - value.length;
  if (typeof value !== "object" || value === null) return 0;
  return Object.entries(value).reduce(
    (sum, [name, child]) => sum + multibyteExcess(name) + multibyteExcess(child),
    0,
  );
}
