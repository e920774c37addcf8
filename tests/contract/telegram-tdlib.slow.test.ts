import { renderMarkdown } from "@parley/core/telegram/render/index";
import { expect, test } from "vitest";
import { anyDocument } from "../support/markdown-documents.ts";
import { fc } from "../support/property.ts";
import { expectAccepted, loadTdlibParser, type TdlibParser } from "../support/tdlib.ts";

const DOCUMENTS = 20_000;

const loaded = await loadTdlibParser();
if (typeof loaded === "string") process.stdout.write(`skipped: ${loaded}\n`);

test.skipIf(typeof loaded === "string")(
  `TDLib takes ${DOCUMENTS} generated documents as they are`,
  async () => {
    const tdlib = loaded as TdlibParser;
    let parts = 0;
    await fc.assert(
      fc.asyncProperty(anyDocument, async (markdown) => {
        const rendered = await renderMarkdown(markdown);
        expectAccepted(tdlib, rendered);
        parts += rendered.length;
      }),
      { numRuns: DOCUMENTS },
    );
    expect(parts).toBeGreaterThan(DOCUMENTS);
  },
  15 * 60_000,
);
