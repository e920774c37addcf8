import type { Root } from "mdast";
import { fromMarkdown, type Options } from "mdast-util-from-markdown";
import { gfmFromMarkdown } from "mdast-util-gfm";
import { gfm } from "micromark-extension-gfm";
import { bareUrl } from "./bare-url.ts";

/** Blocks of HTML become paragraphs: they are shown anyway, and the Markdown inside them is meant. */
const OFF = ["htmlFlow", "wwwAutolink", "protocolAutolink", "emailAutolink"];

const options: Options = {
  extensions: [gfm({ singleTilde: false }), { disable: { null: OFF } }, bareUrl],
  // The transforms are GFM's second search for addresses.
  mdastExtensions: gfmFromMarkdown().map(({ transforms: _, ...extension }) => extension),
};

/** CommonMark and GFM, but addresses in the text stay text, and a single tilde is none of it: "10~20" is a range. */
export function parseMarkdown(source: string): Root {
  return fromMarkdown(source, options);
}
