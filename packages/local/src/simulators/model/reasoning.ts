import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { ApiError } from "./api-error.ts";
import { isObject, type Json } from "./json.ts";

const REMEMBERED = 1_000;

/** Checks the items of a request: reasoning is given back as it was, to the same model, before what it led to. */
export type CheckReasoning = (items: readonly Json[], model: string) => void;

/** Reasoning items, sealed so that only this simulator can have made one, and what has to come after each. */
export function createReasoning() {
  const key = randomBytes(32);
  /** Id of an item -> of the reasoning that led to it; the newest last. */
  const reasonOf = new Map<string, string>();

  const sign = (payload: string) => createHmac("sha256", key).update(payload).digest("base64url");

  function seal(content: Json): string {
    const payload = Buffer.from(JSON.stringify(content)).toString("base64url");
    return `${payload}.${sign(payload)}`;
  }

  function unseal(text: string): Json | undefined {
    const [payload = "", signature] = text.split(".");
    if (signature !== sign(payload)) return undefined;
    const content: unknown = JSON.parse(Buffer.from(payload, "base64url").toString());
    return isObject(content) ? content : undefined;
  }

  function before(next: Json | undefined, request: { model: string; givesReasoning: boolean }): Json {
    const id = `rs_${randomUUID().replaceAll("-", "")}`;
    const nextId = next?.["id"];
    if (typeof nextId === "string") reasonOf.set(nextId, id);
    const oldest = reasonOf.keys().next();
    if (reasonOf.size > REMEMBERED && !oldest.done) reasonOf.delete(oldest.value);
    const encrypted_content = request.givesReasoning
      ? seal({ model: request.model, id, next: nextId })
      : null;
    return { type: "reasoning", id, summary: [], encrypted_content };
  }

  const check: CheckReasoning = (items, model) => {
    for (const [index, item] of items.entries()) {
      const { type, id } = item;
      if (type === "reasoning") checkReasoning(item, items[index + 1], model);
      const required = typeof id === "string" ? reasonOf.get(id) : undefined;
      if (required !== undefined && items[index - 1]?.["id"] !== required) {
        throw refused(
          `Item '${id}' of type '${type}' was provided without its required 'reasoning' item: '${required}'.`,
        );
      }
    }
  };

  function checkReasoning(item: Json, next: Json | undefined, model: string): void {
    const { id, encrypted_content: sealed } = item;
    if (typeof sealed !== "string") {
      throw new ApiError(
        404,
        `Item with id '${id}' not found. Items are not persisted when \`store\` is set to false. Try again with \`store\` set to true, or remove this item from your input.`,
        { param: "input" },
      );
    }
    const content = unseal(sealed);
    if (content?.["id"] !== id || content?.["model"] !== model) {
      throw refused(
        `The encrypted content for item ${id} could not be verified. Reason: Encrypted content could not be decrypted or parsed.`,
        "invalid_encrypted_content",
      );
    }
    if (next === undefined || next["id"] !== content?.["next"]) {
      throw refused(`Item '${id}' of type 'reasoning' was provided without its required following item.`);
    }
  }

  return { before, check };
}

const refused = (message: string, code: string | null = null) =>
  new ApiError(400, message, { param: "input", code });
