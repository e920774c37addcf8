import { readFileSync } from "node:fs";

const { STORE: store = "", PARLEY_VERSION: version = "" } = process.env;
if (!["", "dynamodb", "mongodb"].includes(store)) {
  throw new Error(`STORE is ${store}: it must be dynamodb, the default, or mongodb`);
}

/** What whoever deploys says, in the environment or in .env; .env.example explains it. */
export const deployment = {
  store: store === "mongodb" ? ("mongodb" as const) : ("dynamodb" as const),
  version: version || (JSON.parse(readFileSync("package.json", "utf8")) as { version: string }).version,
  alarmEmail: process.env["ALARM_EMAIL"],
  modelPrice: process.env["MODEL_PRICE"],
  modelUsdPerHour: process.env["ALARM_MODEL_USD_PER_HOUR"],
};
