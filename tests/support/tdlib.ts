import { createRequire } from "node:module";
import type { RenderedPart } from "@parley/core/telegram/render/index";
import { expect } from "vitest";
import { expectWellFormed } from "./rendered-parts.ts";

type Entity = RenderedPart["entities"][number];
type TdObject = { _: string } & Record<string, unknown>;
type TdEntity = { offset: number; length: number; type: TdObject };

/** TDLib's own parser of formatted texts, the one inside Telegram's Bot API server. Works offline. */
export type TdlibParser = {
  /** The part as TDLib would send it on; throws what the Bot API would answer. */
  parse(part: RenderedPart): RenderedPart;
  /** What TDLib finds in a text by itself: addresses, mentions... as `type:"the text"`. */
  find(text: string): string[];
};

const TYPES: Readonly<Record<string, string>> = {
  bold: "textEntityTypeBold",
  italic: "textEntityTypeItalic",
  strikethrough: "textEntityTypeStrikethrough",
  code: "textEntityTypeCode",
  pre: "textEntityTypePre",
  text_link: "textEntityTypeTextUrl",
  blockquote: "textEntityTypeBlockQuote",
  expandable_blockquote: "textEntityTypeExpandableBlockQuote",
};
const NAMES = new Map(Object.entries(TYPES).map(([name, type]) => [type, name]));
/** What TDLib's Markdown begins with. */
const MARKDOWN = /[_*~`|[]/g;

/** The parser, or why there is none on this machine. */
export async function loadTdlibParser(): Promise<TdlibParser | string> {
  const platform = `${process.platform}-${process.arch}${process.platform === "linux" ? "-glibc" : ""}`;
  try {
    const require = createRequire(import.meta.url);
    const tdjson = require.resolve(`@prebuilt-tdlib/${platform}/libtdjson.so`);
    const tdl = await import("tdl");
    tdl.configure({ tdjson, verbosityLevel: 0 });
    const execute = tdl.execute as unknown as (request: TdObject) => TdObject;
    return { parse: (part) => parse(execute, part), find: (text) => find(execute, text) };
  } catch (error) {
    return `TDLib cannot be loaded on ${platform}: ${(error as Error).message.split("\n")[0]}`;
  }
}

function parse(execute: (request: TdObject) => TdObject, part: RenderedPart): RenderedPart {
  // The request that gives the text back as it would be sent also reads Markdown in it, which ours must not contain.
  const answer = execute({
    _: "parseMarkdown",
    text: {
      _: "formattedText",
      text: part.text.replace(MARKDOWN, "x"),
      entities: part.entities.map((entity) => ({
        _: "textEntity",
        offset: entity.offset,
        length: entity.length,
        type: toTd(entity),
      })),
    },
  });
  if (answer._ === "error") throw new Error(String(answer["message"]));
  return { text: String(answer["text"]), entities: (answer["entities"] as TdEntity[]).map(fromTd) };
}

/** TDLib takes every part, and leaves it as it is. */
export function expectAccepted(tdlib: TdlibParser, parts: readonly RenderedPart[]): void {
  expectWellFormed(parts);
  for (const part of parts) expect(tdlib.parse(part)).toEqual(withoutMarkdown(part));
}

/** The text that `parse` gives back for one that it leaves as it is. */
function withoutMarkdown({ text, entities }: RenderedPart): RenderedPart {
  return { text: text.replace(MARKDOWN, "x"), entities };
}

function find(execute: (request: TdObject) => TdObject, text: string): string[] {
  const { entities } = execute({ _: "getTextEntities", text });
  return (entities as TdEntity[]).map(
    ({ offset, length, type }) =>
      `${type._.replace("textEntityType", "")}:${text.slice(offset, offset + length)}`,
  );
}

function toTd(entity: Entity): TdObject {
  const type = TYPES[entity.type];
  if (!type) throw new Error(`the renderer makes no ${entity.type}`);
  if (entity.type === "text_link") return { _: type, url: entity.url };
  if (entity.type === "pre" && entity.language) {
    return { _: "textEntityTypePreCode", language: entity.language };
  }
  return { _: type };
}

function fromTd({ offset, length, type }: TdEntity): Entity {
  if (type._ === "textEntityTypePreCode") {
    return { type: "pre", offset, length, language: String(type["language"]) };
  }
  const name = NAMES.get(type._) ?? type._;
  if (name === "text_link") return { type: "text_link", offset, length, url: String(type["url"]) };
  return { type: name as "bold", offset, length };
}
