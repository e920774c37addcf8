#!/usr/bin/env node
// What runs before anything newer may be needed: this file has to be understood by every Node there is.
import { existsSync } from "node:fs";

const NEEDED = 24;
const root = new URL("../../../", import.meta.url);

/** @param {string} line */
function refuse(line) {
  process.stderr.write(`${line}\n`);
  process.exit(1);
}

if (!existsSync(new URL("node_modules/.bin", root))) {
  refuse("parley: nothing is installed yet: run npm ci first");
} else if (Number(process.versions.node.split(".")[0]) < NEEDED) {
  refuse(
    `Parley needs Node ${NEEDED}: run it through npm (npm start), which uses the one that npm ci installed; this is Node ${process.versions.node}`,
  );
} else {
  const own = new Map([
    ["telegram", "../src/telegram/cli.ts"],
    ["store", "../src/store/cli.ts"],
  ]);
  await import(own.get(process.argv[2] ?? "") ?? "../src/main.ts");
}
