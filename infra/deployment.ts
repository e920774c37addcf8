import { readFileSync } from "node:fs";

const { STORE: store = "", PARLEY_VERSION: version = "", ALARM_EMAIL: alarmEmail = "" } = process.env;
if (!["", "dynamodb", "mongodb"].includes(store)) {
  throw new Error(`STORE is ${store}: it must be dynamodb, the default, or mongodb`);
}

/** What whoever deploys says, in the environment or in .env. */
export const deployment = {
  store: store === "mongodb" ? ("mongodb" as const) : ("dynamodb" as const),
  version: version || (JSON.parse(readFileSync("package.json", "utf8")) as { version: string }).version,
  /** Who is told of alarms; nobody when absent. */
  alarmEmail: alarmEmail || undefined,
};
