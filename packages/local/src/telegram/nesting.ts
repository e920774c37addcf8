import type { MessageEntity } from "./types.ts";

/** How an entity may stand to others. Splittable: bold, italic, underline, strikethrough, spoiler. */
type Family = "quote" | "continuous" | "splittable" | "verbatim";

const FAMILIES: Readonly<Record<string, Family>> = {
  blockquote: "quote",
  expandable_blockquote: "quote",
  bold: "splittable",
  italic: "splittable",
  underline: "splittable",
  strikethrough: "splittable",
  spoiler: "splittable",
  code: "verbatim",
  pre: "verbatim",
  date_time: "verbatim",
};
/** Of two entities over the same text, the outer one. */
const OUTER_FIRST: readonly Family[] = ["quote", "continuous", "splittable", "verbatim"];

const familyOf = ({ type }: MessageEntity): Family => FAMILIES[type] ?? "continuous";

const endOf = ({ offset, length }: MessageEntity) => offset + length;

export function sortEntities(entities: readonly MessageEntity[]): MessageEntity[] {
  const rank = (entity: MessageEntity) => OUTER_FIRST.indexOf(familyOf(entity));
  return entities.toSorted(
    (one, other) => one.offset - other.offset || other.length - one.length || rank(one) - rank(other),
  );
}

/**
 * What the documentation of MessageEntity forbids, in words, or undefined: entities that overlap in part, anything in
 * `pre` or `code`, either of them in anything but a quote, quotes in quotes, links and their like in each other.
 */
export function nestingFault(entities: readonly MessageEntity[]): string | undefined {
  const around: MessageEntity[] = [];
  for (const entity of sortEntities(entities)) {
    while (around.length > 0 && endOf(around.at(-1) as MessageEntity) <= entity.offset) around.pop();
    for (const outer of around) {
      const fault = pairFault(outer, entity);
      if (fault !== undefined) return `${describe(entity)} ${fault} ${describe(outer)}`;
    }
    around.push(entity);
  }
  return undefined;
}

/** Whether two entities could stand in one message. */
export const canCoexist = (one: MessageEntity, other: MessageEntity) =>
  nestingFault([one, other]) === undefined;

function pairFault(outer: MessageEntity, inner: MessageEntity): string | undefined {
  if (endOf(inner) > endOf(outer)) return "overlaps";
  const [around, within] = [familyOf(outer), familyOf(inner)];
  if (around === "verbatim") return "can't be part of";
  if (within === "verbatim" && around !== "quote") return "can't be part of";
  if (within === "quote" && around !== "splittable") return "can't be part of";
  if (within === "continuous" && around === "continuous") return "can't be part of";
  return undefined;
}

const describe = ({ type, offset, length }: MessageEntity) => `the ${type} at ${offset} (length ${length})`;
