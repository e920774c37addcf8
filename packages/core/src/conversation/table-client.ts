import { TransactionCanceledException } from "@aws-sdk/client-dynamodb";
import {
  type DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  type PutCommandInput,
  QueryCommand,
  type QueryCommandInput,
  TransactWriteCommand,
  type TransactWriteCommandInput,
  UpdateCommand,
  type UpdateCommandInput,
} from "@aws-sdk/lib-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import { AppError } from "../error.ts";
import { deadlineExceeded } from "../resilience/deadline.ts";
import type { Item } from "./dynamo-items.ts";
import { storeUnavailable, wait } from "./rivals.ts";

export type TransactItem = NonNullable<TransactWriteCommandInput["TransactItems"]>[number];

type Change = Pick<
  UpdateCommandInput,
  "UpdateExpression" | "ConditionExpression" | "ExpressionAttributeNames" | "ExpressionAttributeValues"
>;

/**
 * Requests to one table: conditions that fail are answers, rivals are waited for, and whatever else goes wrong is an
 * AppError: unavailable, or deadline_exceeded when the signal ended it.
 */
export class TableClient {
  readonly name: string;
  readonly #client: Pick<DynamoDBDocumentClient, "send">;

  constructor(options: { client: Pick<DynamoDBDocumentClient, "send">; table: string }) {
    this.#client = options.client;
    this.name = options.table;
  }

  /** DynamoDB answers with 1 MB at the most: there may be `more` even before the limit. */
  async query(input: Omit<QueryCommandInput, "TableName">, signal?: AbortSignal) {
    const command = new QueryCommand({ TableName: this.name, ...input });
    const { Items = [], LastEvaluatedKey } = await this.#run(() => this.#client.send(command, until(signal)));
    return { found: Items as Item[], more: LastEvaluatedKey !== undefined };
  }

  delete(Key: Item, condition: Partial<NonNullable<TransactItem["Delete"]>> = {}): TransactItem {
    return { Delete: { TableName: this.name, Key, ...condition } };
  }

  /** True: done. False: not to be done, a condition failed. */
  async transactUntilDone(list: TransactItem[], signal?: AbortSignal): Promise<boolean> {
    for (let lost = 0; ; lost++) {
      const reasons = await this.transact(list, signal);
      if (!reasons) return true;
      if (reasons.some(({ failed }) => failed)) return false;
      await wait(lost, signal);
    }
  }

  async get(Key: Item, signal?: AbortSignal): Promise<Item | undefined> {
    const command = new GetCommand({ TableName: this.name, Key, ConsistentRead: true });
    const { Item } = await this.#run(() => this.#client.send(command, until(signal)));
    return Item;
  }

  /** False: the condition did not hold. */
  async put(
    Item: Item,
    condition: Pick<PutCommandInput, "ConditionExpression" | "ExpressionAttributeValues"> = {},
  ): Promise<boolean> {
    const command = new PutCommand({ TableName: this.name, Item, ...condition });
    return (await this.#unlessRefused(() => this.#client.send(command))) !== undefined;
  }

  /** False: the condition did not hold. */
  async update(Key: Item, change: Change, signal?: AbortSignal): Promise<boolean> {
    const command = new UpdateCommand({ TableName: this.name, Key, ...change });
    const send = () => this.#client.send(command, until(signal));
    return (await this.#unlessRefused(send, signal)) !== undefined;
  }

  /** The item after the update; undefined when the condition did not hold. */
  async updated(Key: Item, change: Change, signal?: AbortSignal): Promise<Item | undefined> {
    const command = new UpdateCommand({ TableName: this.name, Key, ReturnValues: "ALL_NEW", ...change });
    return (await this.#unlessRefused(() => this.#client.send(command, until(signal)), signal))?.Attributes;
  }

  #unlessRefused<T>(send: () => Promise<T>, signal?: AbortSignal): Promise<T | undefined> {
    return this.#run(async () => {
      for (let lost = 0; ; lost++) {
        try {
          return await send();
        } catch (error) {
          const name = error instanceof Error && error.name;
          if (name === "ConditionalCheckFailedException") return undefined;
          // A rival's begin looks at this turn; the SDK does not repeat that.
          if (name !== "TransactionConflictException") throw error;
        }
        await wait(lost, signal);
      }
    });
  }

  /**
   * Undefined when the transaction was done; otherwise one entry an item: whether its condition failed, and the item
   * as it stands. No entry failed: the transaction met another one, and may be tried again.
   */
  async transact(TransactItems: TransactItem[], signal?: AbortSignal) {
    return this.#run(async () => {
      try {
        await this.#client.send(new TransactWriteCommand({ TransactItems }), until(signal));
        return undefined;
      } catch (error) {
        if (!(error instanceof TransactionCanceledException)) throw error;
        const reasons = error.CancellationReasons ?? [];
        const other = reasons.find(({ Code }) => Code !== "None" && !RETRIABLE.has(Code ?? ""));
        if (other) throw error;
        return reasons.map(({ Code, Item }) => ({
          failed: Code === "ConditionalCheckFailed",
          item: Item && Object.keys(Item).length > 0 ? unmarshall(Item) : undefined,
        }));
      }
    });
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof AppError) throw cause;
      if (cause instanceof Error && cause.name === "AbortError") throw deadlineExceeded(cause);
      throw storeUnavailable(cause);
    }
  }
}

/** Reasons after which the same transaction may be tried again. */
const RETRIABLE = new Set([
  "ConditionalCheckFailed",
  "TransactionConflict",
  "ThrottlingError",
  "ProvisionedThroughputExceeded",
]);

const until = (signal?: AbortSignal) => (signal ? { abortSignal: signal } : {});
