import { printable } from "../ask.ts";
import type { Message, MessageEntity } from "./types.ts";

type Style = readonly [on: number, off: number];

const STYLES: Readonly<Record<string, Style>> = {
  bold: [1, 22],
  italic: [3, 23],
  underline: [4, 24],
  strikethrough: [9, 29],
  spoiler: [2, 22],
  code: [36, 39],
  pre: [36, 39],
  text_link: [4, 24],
  url: [4, 24],
  bot_command: [34, 39],
  mention: [34, 39],
};
const DIM: Style = [2, 22];
const QUOTE_LENGTH = 40;

export type Painter = (text: string, style: Style) => string;

/** Without colour the text stays as it is. */
export const painter =
  (colour: boolean): Painter =>
  (text, [on, off]) =>
    colour && text !== "" ? `\u001b[${on}m${text}\u001b[${off}m` : text;

export const dim = (text: string, colour: boolean) => painter(colour)(text, DIM);

/** A message as Telegram's clients show it, for a terminal: who, what it answers, the text, the buttons. */
export function renderMessage(message: Message, colour: boolean): string {
  const paint = painter(colour);
  const { from, text = "", entities = [], reply_markup: markup } = message;
  const marks = [
    ...(message.edit_date === undefined ? [] : ["edited"]),
    ...(message.is_topic_message === true ? [`topic ${message.message_thread_id}`] : []),
  ];
  const details = `${replyLine(message)}${marks.length > 0 ? `  (${marks.join(", ")})` : ""}`;
  const head = `${paint(printable(from.first_name), [1, 22])}${paint(details, DIM)}`;
  const buttons = markup?.inline_keyboard.flat().map((button, index) => {
    const target = button.url === undefined ? "" : ` (${button.url})`;
    return `[${index + 1}] ${printable(button.text)}${printable(target)}`;
  });
  return [head, renderText(text, entities, colour), ...(buttons ?? [])].join("\n");
}

function replyLine({ reply_to_message: target, quote }: Message): string {
  if (target === undefined || target.forum_topic_created !== undefined) return "";
  const text = quote?.text ?? target.text ?? target.caption ?? "a message";
  const line = printable(text).replaceAll("\n", " ");
  const cut = [...line].slice(0, QUOTE_LENGTH).join("");
  return `  \u21b3 ${cut}${cut.length < line.length ? "..." : ""}`;
}

/** Entities as terminal styles; links show where they lead; `pre` and quotes have a bar at the left. */
export function renderText(text: string, entities: readonly MessageEntity[], colour: boolean): string {
  let start = 0;
  const lines = text.split("\n").map((line) => {
    const rendered = renderLine(line, start, entities, colour);
    start += line.length + 1;
    return rendered;
  });
  return lines.join("\n");
}

function renderLine(
  line: string,
  start: number,
  entities: readonly MessageEntity[],
  colour: boolean,
): string {
  const end = start + line.length;
  const touching = entities
    .map((entity) => ({ entity, from: entity.offset, to: entity.offset + entity.length }))
    .filter(({ from, to }) => from <= end && to > start);
  const cuts = touching.flatMap(({ from, to }) => [from, to]).filter((at) => at > start && at < end);
  const edges = [...new Set([start, ...cuts, end])].sort((one, other) => one - other);
  const paint = painter(colour);
  const pieces = edges.slice(1).map((edge, index) => {
    const begin = edges[index] ?? start;
    const covering = touching.filter(({ from, to }) => from <= begin && to >= edge);
    const links = covering.filter(({ entity, to }) => entity.url !== undefined && to === edge);
    const styled = covering.reduce(
      (piece, { entity }) => {
        const style = STYLES[entity.type];
        return style === undefined ? piece : paint(piece, style);
      },
      printable(line.slice(begin - start, edge - start)),
    );
    return styled + links.map(({ entity }) => paint(` (${printable(entity.url ?? "")})`, DIM)).join("");
  });
  const opening = touching.find(({ entity, from }) => entity.type === "pre" && from >= start);
  const language = opening?.entity.language;
  const label = language === undefined ? "" : `${paint(`| ${printable(language)}`, DIM)}\n`;
  const isBlock = touching.some(({ entity }) => /^(?:pre|.*blockquote)$/.test(entity.type));
  return `${label}${isBlock ? paint("| ", DIM) : ""}${pieces.join("")}`;
}
