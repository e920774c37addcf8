import { faultError } from "@parley/local/dynamodb/fault-error";
import type { FaultKind } from "@parley/local/faults";
import { all, type Drill, type Fault, share } from "./fault.ts";
import type { Passing } from "./passing.ts";
import type { Strike } from "./wire.ts";

/** As DynamoDB words it. */
function answerOf(kind: FaultKind, { body }: Passing): Strike {
  const error = faultError(kind, JSON.parse(body));
  if (!error) throw new Error(`${kind} has no words`);
  return { kind: "answer", status: error.status, body: JSON.stringify(error.body()) };
}

const isWrite = ({ operation }: Passing) => operation !== "Query" && operation !== "GetItem";

export const throttle = (drill: Drill, probability: number) =>
  share(drill, "store", probability, (passing) => answerOf("throttle", passing));
export const conflict = (drill: Drill, probability: number) =>
  share(drill, "store", probability, (passing) => answerOf("conflict", passing), isWrite);
export const loseStoreAnswers = (drill: Drill, probability: number) =>
  all(
    share(drill, "store", probability, { kind: "lose" }),
    share(drill, "store", probability / 2, { kind: "drop" }),
  );

export const storeFaults: readonly Fault[] = [
  { name: "store throttles", inject: (drill) => throttle(drill, 0.3) },
  { name: "store conflicts", inject: (drill) => conflict(drill, 0.4) },
  {
    name: "store errors",
    inject: (drill) => share(drill, "store", 0.3, (passing) => answerOf("error", passing)),
  },
  { name: "store answers lost", inject: (drill) => loseStoreAnswers(drill, 0.2) },
  { name: "store unreachable", inject: ({ stage }) => stage.wire.refuse("store") },
  {
    name: "store cut off from one",
    // One instance of the API's and one of Telegram's hear nothing of it.
    inject: (drill) => share(drill, "store", 1, { kind: "hang" }, ({ instance }) => instance % 3 === 1),
  },
];
