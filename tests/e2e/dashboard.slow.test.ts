import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { findBrowser } from "../support/browser.ts";
import { removeTemporaryFolders, temporaryFolder } from "../support/parley.ts";
import { runNode } from "../support/process.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/dashboard.ts", import.meta.url));

afterAll(removeTemporaryFolders);

test("npm run dashboard draws what a run of its own emitted, and leaves nothing else", async () => {
  const out = join(await temporaryFolder(), "page", "dashboard.html");
  const { code, stdout, stderr } = await runNode([SCRIPT, "--seconds", "25", "--out", out]);
  expect(code, stderr).toBe(0);
  expect(stderr).toContain("both weather providers are down");
  const html = await readFile(out, "utf8");
  expect(html).not.toMatch(/(?:src|href)=|url\(|<script/i);
  // What must have happened: turns of the API and of Telegram, and the weather's outage.
  for (const title of ["Turns by platform", "Where the time goes", "Circuit breaker", "Messages sent"]) {
    const widget = new RegExp(`<h3>${title}</h3>(.*?)</section>`, "s").exec(html)?.[1] ?? "";
    expect(widget, title).toContain("<svg");
    expect(widget).not.toContain("NaN");
  }
  const pictures = stdout.split("\n").filter((line) => line.endsWith(".png"));
  if (findBrowser() === undefined) process.stdout.write("no chromium: no picture was asked for\n");
  else expect(pictures).toEqual([out.replace(/html$/, "png")]);
}, 120_000);
