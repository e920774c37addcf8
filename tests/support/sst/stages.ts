import { join } from "node:path";
import { readGraph } from "./graph.ts";
import { WORK } from "./sst.ts";

/** The stages that the tests look at. */
export const STAGES = [
  { name: "development", stage: "dev", env: {} },
  { name: "production", stage: "production", env: { ALARM_EMAIL: "somebody@example.com" } },
  {
    name: "mongodb",
    stage: "mongo",
    env: { STORE: "mongodb", SST_SECRET_MongoDbUri: "mongodb://127.0.0.1:1" },
  },
] as const;

export type StageName = (typeof STAGES)[number]["name"];

/** Where setup.ts leaves what it built. */
export const folderOf = (name: StageName) => join(WORK, name);
export const stageGraph = (name: StageName) => readGraph(folderOf(name));
