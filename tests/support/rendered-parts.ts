import type { RenderedPart } from "@parley/core/telegram/render/index";
import { expect } from "vitest";

type Entity = RenderedPart["entities"][number];

const ALONE = new Set(["pre", "code"]);
const QUOTES = new Set(["blockquote", "expandable_blockquote"]);
/** What Telegram replaces or removes. */
const EDITED_BY_TELEGRAM = /[^\P{Cc}\n\x7f-\x9f]|[\u2028-\u202e]|\u0333|\u033f|\u030a/u;

/** Entities as `type:"the text"`, with what else they carry. */
export function described({ text, entities }: RenderedPart): string[] {
  return entities.map((entity) => {
    const detail = entity.type === "text_link" ? `(${entity.url})` : "";
    const language = entity.type === "pre" && entity.language ? `(${entity.language})` : "";
    return `${entity.type}${detail}${language}:${text.slice(entity.offset, entity.offset + entity.length)}`;
  });
}

/** Everything that Telegram asks of a message, short of parsing it. */
export function expectWellFormed(parts: readonly RenderedPart[]): void {
  for (const part of parts) {
    try {
      expectWellFormedPart(part);
    } catch (error) {
      throw new Error(`in the part ${JSON.stringify(part)}`, { cause: error });
    }
  }
}

function expectWellFormedPart({ text, entities }: RenderedPart): void {
  expect(text.length).toBeLessThanOrEqual(4096);
  expect(entities.length).toBeLessThanOrEqual(100);
  expect(text).toMatch(/[^\s\p{Cc}\p{Cf}]/u);
  expect(text.isWellFormed()).toBe(true);
  expect(text).not.toMatch(EDITED_BY_TELEGRAM);
  expect(text).toBe(text.trimEnd());
  if (/^\s/.test(text))
    expect(entities.some(({ type, offset }) => type === "pre" && offset === 0)).toBe(true);
  let around: Entity[] = [];
  for (const [index, entity] of entities.entries()) {
    expectWellFormedEntity(text, entity);
    const before = entities[index - 1];
    if (before)
      expect(entity.offset - before.offset || before.length - entity.length).toBeGreaterThanOrEqual(0);
    around = around.filter(({ offset, length }) => entity.offset < offset + length);
    for (const outer of around) expectNested(outer, entity);
    around.push(entity);
  }
}

function expectWellFormedEntity(text: string, entity: Entity): void {
  const { offset, length, type } = entity;
  expect(Number.isInteger(offset) && offset >= 0 && length > 0 && offset + length <= text.length).toBe(true);
  const covered = text.slice(offset, offset + length);
  expect(covered.isWellFormed()).toBe(true);
  // Code may begin indented, and with it a quotation that begins with code.
  expect(covered).toBe(type === "pre" || QUOTES.has(type) ? covered.trimEnd() : covered.trim());
  expect(covered).not.toMatch(/^\s*\n/);
  if (type === "text_link") expect(entity.url).toMatch(/^(https?|tg):\S+$/);
}

function expectNested(outer: Entity, inner: Entity): void {
  expect(inner.offset + inner.length).toBeLessThanOrEqual(outer.offset + outer.length);
  expect(inner.type).not.toBe(outer.type);
  expect(QUOTES.has(inner.type)).toBe(false);
  if (ALONE.has(inner.type)) expect(QUOTES.has(outer.type)).toBe(true);
  expect(ALONE.has(outer.type)).toBe(false);
}
