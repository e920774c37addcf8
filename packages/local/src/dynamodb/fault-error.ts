import type { Fields } from "../aws-json.ts";
import type { FaultKind } from "../faults.ts";
import { DynamoError } from "./errors.ts";
import { cancelled } from "./transactions.ts";

/** What a fault is answered with, none if it breaks the connection. A conflict is blamed on a transaction's first action. */
export function faultError(kind: FaultKind | undefined, input: Fields): DynamoError | undefined {
  switch (kind) {
    case "throttle":
      return new DynamoError(
        "ProvisionedThroughputExceededException",
        "The level of configured provisioned throughput for the table was exceeded",
      );
    case "error":
      return new DynamoError("InternalServerError", "Internal server error", { status: 500 });
    case "conflict": {
      const Message = "Transaction is ongoing for the item";
      const actions = input["TransactItems"];
      if (!Array.isArray(actions)) return new DynamoError("TransactionConflictException", Message);
      return cancelled(
        actions.map((_action, at) =>
          at === 0 ? { Code: "TransactionConflict", Message } : { Code: "None" },
        ),
      );
    }
    default:
      return undefined;
  }
}
