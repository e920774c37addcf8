import { createHash } from "node:crypto";
import type { Fields } from "../aws-json.ts";
import type { Item } from "./dynalite.ts";
import type { Engine } from "./engine.ts";
import { DynamoError, validationError } from "./errors.ts";
import { itemBytes } from "./item-limits.ts";
import type { Staged } from "./stage.ts";

const MAX_ITEMS = 100;
const MAX_BYTES = 4 * 1024 * 1024;
const TOKEN_LENGTH = 36;
const TOKEN_LIFETIME_MS = 10 * 60 * 1000;

/** Each kind of action, and the operation whose validation and behaviour are its own. */
const ACTIONS: Readonly<Record<string, string>> = {
  ConditionCheck: "DeleteItem",
  Delete: "DeleteItem",
  Put: "PutItem",
  Update: "UpdateItem",
  Get: "GetItem",
};

interface Action {
  kind: string;
  operation: string;
  request: Fields;
}

export interface Transactions {
  write(input: Fields): Promise<Fields>;
  get(input: Fields): Promise<Fields>;
}

/**
 * TransactWriteItems and TransactGetItems.
 *
 * Rivals wait for each other here, where Amazon may cancel one of them with TransactionConflict (inject that as a
 * fault). Tokens are remembered for 10 minutes in memory: a restart forgets them.
 */
export function createTransactions(engine: Engine): Transactions {
  const tokens = createTokens();

  return {
    async write(input) {
      const token = input["ClientRequestToken"];
      const digest = fingerprint(input["TransactItems"]);
      const actions = parse(engine, input, ["ConditionCheck", "Delete", "Put", "Update"]);
      if (typeof token === "string" && token.length > TOKEN_LENGTH) {
        throw validationError(
          `Value ${token} at 'clientRequestToken' failed to satisfy constraint: Member must have length less than or equal to ${TOKEN_LENGTH}`,
        );
      }
      return engine.exclusive(async () => {
        const earlier = tokens.find(token, digest);
        if (earlier) return earlier;
        const staged = await stageAll(engine, actions);
        await engine.commit(
          staged.flatMap(({ writes }, at) => (actions[at]?.kind === "ConditionCheck" ? [] : writes)),
        );
        const output = consumed(staged);
        tokens.keep(token, digest, output);
        return output;
      });
    },
    async get(input) {
      const actions = parse(engine, input, ["Get"]);
      const staged = await engine.exclusive(() => stageAll(engine, actions));
      const Responses = staged.map(({ output }) => (output["Item"] ? { Item: output["Item"] } : {}));
      return { Responses, ...consumed(staged) };
    },
  };
}

function parse(engine: Engine, input: Fields, kinds: string[]): Action[] {
  const members = input["TransactItems"];
  if (!Array.isArray(members) || members.length === 0) {
    throw validationError(
      "Value at 'transactItems' failed to satisfy constraint: Member must have length greater than or equal to 1",
    );
  }
  if (members.length > MAX_ITEMS) {
    throw validationError(`Member must have length less than or equal to ${MAX_ITEMS}`);
  }
  const ReturnConsumedCapacity = input["ReturnConsumedCapacity"] ?? "NONE";
  const actions = members.map((member: Record<string, Fields> | null, at) => {
    const { kind, operation, fields } = parseMember(member ?? {}, at, kinds);
    return { kind, operation, request: engine.validate(operation, { ...fields, ReturnConsumedCapacity }) };
  });
  const bytes = actions.reduce((sum, { request }) => sum + payloadBytes(request), 0);
  if (bytes > MAX_BYTES) {
    throw validationError(`Transaction payload size cannot exceed 4MB. Payload Size: ${bytes}`);
  }
  return actions;
}

function parseMember(member: Record<string, Fields>, at: number, kinds: string[]) {
  const [kind = "", ...others] = Object.keys(member).filter((name) => kinds.includes(name));
  const fields = member[kind];
  const operation = ACTIONS[kind];
  if (!fields || !operation || others.length > 0) {
    throw validationError("TransactItems can only contain one of Check, Put, Update or Delete");
  }
  if (kind === "ConditionCheck" && fields["ConditionExpression"] == null) {
    throw validationError(
      `Value null at 'transactItems.${at + 1}.member.conditionCheck.conditionExpression' failed to satisfy constraint: Member must not be null`,
    );
  }
  return { kind, operation, fields };
}

function payloadBytes(request: Fields): number {
  return itemBytes((request["Item"] ?? request["ExpressionAttributeValues"] ?? {}) as Item);
}

/** Throws what makes the whole request wrong first, then TransactionCanceledException with a reason for each action. */
async function stageAll(engine: Engine, actions: Action[]): Promise<Staged[]> {
  const staged: Staged[] = [];
  for (const { operation, request } of actions) staged.push(await engine.stage(operation, request));

  const keys = staged.flatMap((one) => one.keys);
  if (new Set(keys).size < keys.length) {
    throw validationError("Transaction request cannot include multiple operations on one item");
  }
  const reasons = staged.map(({ error }) => reason(error));
  if (reasons.every(({ Code }) => Code === "None")) return staged;
  throw cancelled(reasons);
}

interface Reason {
  Code: string;
  Message?: string;
  Item?: unknown;
}

export function cancelled(reasons: Reason[]): DynamoError {
  const codes = reasons.map(({ Code }) => Code).join(", ");
  return new DynamoError(
    "TransactionCanceledException",
    `Transaction cancelled, please refer cancellation reasons for specific reasons [${codes}]`,
    { details: { CancellationReasons: reasons } },
  );
}

function reason(error: DynamoError | undefined): Reason {
  if (!error) return { Code: "None" };
  const Message = error.message;
  if (error.code === "ConditionalCheckFailedException") {
    return { Code: "ConditionalCheckFailed", Message, ...error.details };
  }
  if (error.code === "ValidationException") return { Code: "ValidationError", Message };
  throw error;
}

/** A transaction costs twice what its actions cost alone. */
function consumed(staged: Staged[]): Fields {
  const units = new Map<string, number>();
  for (const { output } of staged) {
    const one = output["ConsumedCapacity"] as { TableName: string; CapacityUnits: number } | undefined;
    if (one) units.set(one.TableName, (units.get(one.TableName) ?? 0) + 2 * one.CapacityUnits);
  }
  if (units.size === 0) return {};
  return { ConsumedCapacity: [...units].map(([TableName, CapacityUnits]) => ({ TableName, CapacityUnits })) };
}

function createTokens() {
  const kept = new Map<string, { digest: string; output: Fields; until: number }>();
  return {
    /** The answer that the same request got before. Throws when the token was used for another request. */
    find(token: unknown, digest: string): Fields | undefined {
      for (const [old, { until }] of kept) {
        if (until > Date.now()) break;
        kept.delete(old);
      }
      const earlier = kept.get(String(token));
      if (earlier && earlier.digest !== digest) {
        throw new DynamoError(
          "IdempotentParameterMismatchException",
          "The request was retried with the same client token but with different parameters",
        );
      }
      return earlier?.output;
    },
    keep(token: unknown, digest: string, output: Fields): void {
      if (typeof token !== "string") return;
      kept.set(token, { digest, output, until: Date.now() + TOKEN_LIFETIME_MS });
    },
  };
}

/** The same for two requests that differ in the order of their fields alone. */
function fingerprint(value: unknown): string {
  const sorted = (_name: string, field: unknown) =>
    typeof field === "object" && field !== null && !Array.isArray(field)
      ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)))
      : field;
  return createHash("sha256")
    .update(JSON.stringify(value, sorted) ?? "")
    .digest("hex");
}
