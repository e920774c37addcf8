import type {
  BlockContent,
  Code,
  Definition,
  DefinitionContent,
  List,
  ListItem,
  Nodes,
  Root,
  RootContent,
} from "mdast";
import { type Composition, composeInline } from "./compose-inline.ts";
import { composeTable } from "./compose-table.ts";
import { type Style, type StyledText, StyledTextBuilder } from "./styled-text.ts";

/** `lists`: how many lists the block is in. */
type Place = { style: Style; lists: number };
type Block = RootContent | BlockContent | DefinitionContent;

const BULLETS = ["•", "◦", "–"];
const INDENT = "   ";
/** Deeper lists are not indented further, so that the text cannot grow with the square of their depth. */
const MAX_INDENT = 8 * INDENT.length;
const RULE = "———";
const LANGUAGE = /^[\w+#.-]{1,32}$/;
const URL_BUDGET = 32_768;

/** A syntax tree as the text a reader sees and how each stretch of it looks. */
export function composeDocument(root: Root): StyledText {
  const out = new StyledTextBuilder();
  const composition = { out, definitions: definitionsIn(root), urlBudget: URL_BUDGET };
  composeBlocks(root.children, 2, { style: {}, lists: 0 }, composition);
  return out.finish();
}

/** The first definition of an identifier counts. */
function definitionsIn(root: Root): Map<string, Definition> {
  const definitions = new Map<string, Definition>();
  const unvisited: Nodes[] = [root];
  for (let node = unvisited.pop(); node; node = unvisited.pop()) {
    if (node.type === "definition" && !definitions.has(node.identifier))
      definitions.set(node.identifier, node);
    if ("children" in node) unvisited.push(...node.children.toReversed());
  }
  return definitions;
}

function composeBlocks(
  blocks: readonly Block[],
  lines: number,
  place: Place,
  composition: Composition,
): void {
  for (const [index, block] of blocks.entries()) {
    if (index > 0) composition.out.breakLine(lines, place.style);
    composeBlock(block, place, composition);
  }
}

function composeBlock(block: Block, place: Place, composition: Composition): void {
  const { out } = composition;
  const { style } = place;
  switch (block.type) {
    case "paragraph":
      composeInline(block.children, style, composition);
      break;
    case "heading":
      composeInline(block.children, { ...style, bold: true, heading: true }, composition);
      break;
    case "code":
      composeCode(block, style, composition);
      break;
    case "table":
      composeTable(block, style, composition);
      break;
    case "list":
      composeList(block, place, composition);
      break;
    case "blockquote":
      // Telegram has no quotation within a quotation.
      out.indent("", () =>
        composeBlocks(
          block.children,
          2,
          { style: style.quote ? style : { ...style, quote: {} }, lists: 0 },
          composition,
        ),
      );
      break;
    case "footnoteDefinition":
      out.write(`[${block.label ?? block.identifier}] `, style);
      composeBlocks(block.children, 2, place, composition);
      break;
    case "thematicBreak":
      out.write(RULE, style);
      break;
    case "html":
      out.write(block.value, style);
      break;
  }
}

function composeCode({ value, lang }: Code, style: Style, { out }: Composition): void {
  const code = value.replace(/^(?:[^\S\n]*\n)+/, "").trimEnd();
  const pre = lang && LANGUAGE.test(lang) ? { language: lang } : {};
  out.indent("", () => out.write(code, style.quote ? { quote: style.quote, pre } : { pre }));
}

function composeList(list: List, place: Place, composition: Composition): void {
  const bullet = BULLETS[place.lists % BULLETS.length] ?? "•";
  const spread = list.spread || list.children.some((item) => item.spread);
  for (const [index, item] of list.children.entries()) {
    if (index > 0) composition.out.breakLine(spread ? 2 : 1, place.style);
    const number = list.ordered ? `${(list.start ?? 1) + index}.` : undefined;
    composeItem(item, markerOf(item, number, bullet), place, composition);
  }
}

function markerOf({ checked }: ListItem, number: string | undefined, bullet: string): string {
  if (typeof checked !== "boolean") return number ?? bullet;
  const box = checked ? "☑" : "☐";
  return number ? `${number} ${box}` : box;
}

function composeItem(item: ListItem, marker: string, place: Place, composition: Composition): void {
  const { out } = composition;
  const first = item.children[0]?.type;
  const besideMarker = first === "paragraph" || first === "heading";
  out.write(besideMarker ? `${marker} ` : marker, place.style);
  if (!besideMarker) out.breakLine(1, place.style);
  const inside = { style: place.style, lists: place.lists + 1 };
  out.indent((out.prefix + INDENT).slice(0, MAX_INDENT), () =>
    composeBlocks(item.children, item.spread ? 2 : 1, inside, composition),
  );
}
