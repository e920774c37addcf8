import type { Table, TableCell } from "mdast";
import { alignTable } from "./align-table.ts";
import { type Composition, composeInline } from "./compose-inline.ts";
import { type Run, type Style, StyledTextBuilder } from "./styled-text.ts";

type CellLink = { text: string; link: { readonly url: string } };

/** A table as aligned preformatted text. Nothing in it can be a link, so its links follow on a line of their own. */
export function composeTable({ children, align }: Table, style: Style, composition: Composition): void {
  const { out } = composition;
  const links = new Map<string, CellLink>();
  const rows = children.map((row) => row.children.map((cell) => composeCell(cell, composition, links)));
  const quote = style.quote ? { quote: style.quote } : {};
  out.indent("", () => out.write(alignTable(rows, align ?? []), { ...quote, pre: {} }));
  for (const [index, { text, link }] of [...links.values()].entries()) {
    if (index === 0) out.breakLine(1, style);
    else out.write(" · ", style);
    out.write(text, { ...style, link });
  }
}

function composeCell(cell: TableCell, composition: Composition, links: Map<string, CellLink>): string {
  const out = new StyledTextBuilder();
  const inCell = { ...composition, out };
  composeInline(cell.children, {}, inCell);
  composition.urlBudget = inCell.urlBudget;
  const { text, runs } = out.finish();
  for (const { link, text: linkText } of linksOf(text, runs)) {
    if (!links.has(link.url)) links.set(link.url, { text: linkText, link });
  }
  return oneLine(text);
}

function linksOf(text: string, runs: readonly Run[]): CellLink[] {
  const links = new Map<object, CellLink>();
  for (const { start, end, style } of runs) {
    if (!style.link) continue;
    const before = links.get(style.link)?.text ?? "";
    links.set(style.link, { text: before + text.slice(start, end), link: style.link });
  }
  return [...links.values()].map(({ text: words, link }) => ({ text: oneLine(words), link }));
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
