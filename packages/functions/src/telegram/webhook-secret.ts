import { createHash, timingSafeEqual } from "node:crypto";
import type { TelegramSettings } from "@parley/core/config";
import { AppError } from "@parley/core/error";
import type { Middleware } from "../http/event.ts";

const HEADER = "x-telegram-bot-api-secret-token";

/** Only Telegram knows the secret; compared by digest, in constant time, the previous one too while it is rotated. */
export function webhookSecret(settings: () => Pick<TelegramSettings, "secrets">): Middleware {
  return {
    before: ({ event }) => {
      const given = digest(event.headers[HEADER] ?? "");
      let known = false;
      for (const secret of settings().secrets) known = timingSafeEqual(given, digest(secret)) || known;
      if (!known) throw new AppError("unauthenticated", "The webhook's secret is missing or wrong.");
    },
  };
}

const digest = (text: string) => createHash("sha256").update(text).digest();
