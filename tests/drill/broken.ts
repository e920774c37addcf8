import { copyProduct } from "../support/product-copy.ts";

/** One place of the product, and what it says instead. */
type Edit = { file: string; from: string; to: string };

/** Builds that the drill must not let pass. */
export const brokenBuilds: Readonly<Record<string, Edit>> = {
  /** A prober that dies keeps the circuit half open for good. */
  "no-lease": {
    file: "packages/core/src/redis/circuit-store.ts",
    from: "become('half_open', now + lease, attempt)",
    to: "become('half_open', now + 1e10, attempt)",
  },
  /** A message that meets a crash while the model thinks is nowhere. */
  "begin-after-model": {
    file: "packages/core/src/conversation/turns.ts",
    from: "const { begun, past } = await this.#beginner.begin(target, {",
    to: `const nothing = { platform: "api", turns: [] };
    await this.#ask({ conversationId: "", seq: 1, message } as unknown as Turn, nothing, { ...ask, spender: { owner } });
    const { begun, past } = await this.#beginner.begin(target, {`,
  },
  /** A part of an answer that may have arrived is sent again. */
  "resend-ambiguous": {
    file: "packages/core/src/telegram/api.ts",
    from: 'return { outcome: "uncertain", reason: codeOf(error.error) };',
    to: 'return { outcome: "later", retryAfterS: RECONNECT_AFTER_S };',
  },
  /** Whoever comes late with a reply to a turn that somebody else has taken over and answered has the last word. */
  "no-fencing": {
    file: "packages/core/src/conversation/dynamo-store.ts",
    from: '"(lease.holder = :holder AND attribute_not_exists(reply)) OR reply.messageId = :message_id"',
    to: '"attribute_exists(pk) OR lease.holder = :holder OR reply.messageId = :message_id"',
  },
  /** Calls under way are not counted, so however many pass a limit. */
  "no-hold": {
    file: "packages/core/src/budget/ledger.ts",
    from: "if full == 0 and (a[2] + a[4] >= max_tokens or a[3] + a[5] >= max_cost) then full = i end",
    to: "",
  },
};

/** Runs something on a copy of the product that is broken in that way; the copy goes afterwards. */
export async function withBroken<T>(name: string, work: (root: string) => Promise<T>): Promise<T> {
  const edit = brokenBuilds[name];
  if (!edit)
    throw new Error(
      `there is no broken build ${JSON.stringify(name)}: ${Object.keys(brokenBuilds).join(", ")}`,
    );
  const copy = await copyProduct();
  try {
    await copy.edit(edit.file, edit.from, edit.to);
    return await work(copy.root);
  } finally {
    await copy.remove();
  }
}
