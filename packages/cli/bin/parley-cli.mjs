#!/usr/bin/env node
// What runs before anything newer may be needed: this file has to be understood by every Node there is.
const NEEDED = 24;

if (Number(process.versions.node.split(".")[0]) < NEEDED) {
  process.stderr.write(
    `Parley needs Node ${NEEDED}: run it through npm (npm run cli), which uses the one that npm ci installed; this is Node ${process.versions.node}\n`,
  );
  process.exit(1);
}
await import("../src/main.ts");
