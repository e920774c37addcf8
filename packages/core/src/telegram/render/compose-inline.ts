import type { Definition, Image, ImageReference, Link, LinkReference, PhrasingContent } from "mdast";
import { linkTarget } from "./link-target.ts";
import type { Style, StyledTextBuilder } from "./styled-text.ts";

/** `urlBudget`: units that addresses may still take, since a reference repeats an address for six units of source. */
export type Composition = {
  out: StyledTextBuilder;
  definitions: ReadonlyMap<string, Definition>;
  urlBudget: number;
};

const LINE_BREAK = /^<br\s*\/?>$/i;

export function composeInline(
  nodes: readonly PhrasingContent[],
  style: Style,
  composition: Composition,
): void {
  for (const node of nodes) composeNode(node, style, composition);
}

function composeNode(node: PhrasingContent, style: Style, composition: Composition): void {
  const { out } = composition;
  switch (node.type) {
    case "text":
      out.write(node.value, style);
      break;
    case "strong":
      composeInline(node.children, { ...style, bold: true }, composition);
      break;
    case "emphasis":
      composeInline(node.children, { ...style, italic: true }, composition);
      break;
    case "delete":
      composeInline(node.children, { ...style, strikethrough: true }, composition);
      break;
    case "inlineCode":
      out.write(node.value.replaceAll("\n", " "), codeStyle(style));
      break;
    case "break":
      out.write("\n", style);
      break;
    case "html":
      out.write(LINE_BREAK.test(node.value) ? "\n" : node.value, style);
      break;
    case "footnoteReference":
      out.write(`[${node.label ?? node.identifier}]`, style);
      break;
    case "link":
    case "linkReference":
      composeLink(destinationOf(node, composition), style, composition, (linked) =>
        composeInline(node.children, linked, composition),
      );
      break;
    case "image":
    case "imageReference":
      composeLink(destinationOf(node, composition), style, composition, (linked) =>
        out.write(node.alt || "image", linked),
      );
      break;
  }
}

/** Telegram lets code have no other style and no link; inside a link the link is worth more. */
function codeStyle(style: Style): Style {
  if (style.link) return style;
  return style.quote ? { quote: style.quote, code: {} } : { code: {} };
}

function destinationOf(
  node: Link | LinkReference | Image | ImageReference,
  { definitions }: Composition,
): string {
  return "url" in node ? node.url : (definitions.get(node.identifier)?.url ?? "");
}

function composeLink(
  destination: string,
  style: Style,
  composition: Composition,
  content: (style: Style) => void,
): void {
  const { out } = composition;
  const target = style.link ? undefined : linkTarget(destination);
  const start = out.length;
  if (target && "url" in target && target.url.length <= composition.urlBudget) {
    composition.urlBudget -= target.url.length;
    const linked: Style = { ...style, link: { url: target.url } };
    content(linked);
    if (out.length === start) out.write(target.url, linked);
    return;
  }
  content(style);
  if (!target || !("address" in target)) return;
  if (out.length === start) out.write(target.address, style);
  else if (!out.since(start).includes(target.address)) out.write(` (${target.address})`, style);
}
