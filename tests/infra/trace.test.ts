import { pathToFileURL } from "node:url";
import { unpack } from "../support/sst/archives.ts";
import { stageGraph } from "../support/sst/stages.ts";
import { turnTraceSuite } from "../support/turn-trace.ts";

const graph = stageGraph("production");
const folder = await unpack(graph, "ContinueConversation");

// As sst diff built it.
turnTraceSuite({
  name: "ContinueConversation",
  entry: "bundle.mjs",
  taskRoot: pathToFileURL(`${folder}/`),
  env: { ...graph.environment("ContinueConversation"), SST_KEY_FILE: `${folder}/resource.enc` },
});
