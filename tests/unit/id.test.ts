import { isConversationId, newConversationId, newHolderId, newMessageId, newTurnId } from "@parley/core/id";
import { expect, test } from "vitest";
import { fc } from "../support/property.ts";

test("ids name their kind and no two are the same", () => {
  for (const [make, prefix] of [
    [newConversationId, "conv_"],
    [newMessageId, "msg_"],
    [newTurnId, "turn_"],
    [newHolderId, "holder_"],
  ] as const) {
    const ids = Array.from({ length: 2_000 }, () => make());
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(new RegExp(`^${prefix}[0-9a-hjkmnp-tv-z]{26}$`));
  }
});

const instant = fc.integer({ min: 1, max: 2 ** 45 });

test("ids sort by the time of creation", async () => {
  await fc.assert(
    fc.property(instant, instant, (one, other) => {
      fc.pre(one !== other);
      expect(newConversationId(one) < newConversationId(other)).toBe(one < other);
    }),
  );
});

test("only what newConversationId makes is a conversation's id", async () => {
  expect(isConversationId(newConversationId())).toBe(true);
  const id = newConversationId();
  const others = [
    "",
    "conv_",
    id.toUpperCase(),
    ` ${id}`,
    `${id}\n`,
    `${id}x`,
    id.slice(0, -1),
    newMessageId(),
    id.replace(/.$/, "u"),
    "conv_../../etc/passwd",
    "__proto__",
  ];
  for (const other of others) expect(isConversationId(other), JSON.stringify(other)).toBe(false);
  await fc.assert(fc.property(fc.string(), (text) => !isConversationId(text)));
});
