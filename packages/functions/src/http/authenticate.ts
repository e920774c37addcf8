import { createHash, timingSafeEqual } from "node:crypto";
import { AppError } from "@parley/core/error";
import type { ApiKey } from "@parley/core/settings";
import type { Telemetry } from "@parley/core/telemetry";
import type { Container } from "../container.ts";
import type { ApiEvent, Middleware } from "./event.ts";
import { tooMany } from "./rate-limit.ts";

/** Everything belongs to one owner where authentication is off. */
const ANYONE = "anyone";

/**
 * `X-API-Key` or `Authorization: Bearer`. Puts the key's id where a Lambda authorizer would put its context. Fails
 * closed: without keys only `AUTH_MODE=none`, said aloud, opens the API. Failures have a rate limit of their own.
 */
export function authenticate(container: () => Container, telemetry: Pick<Telemetry, "count">): Middleware {
  return {
    before: async ({ event }) => {
      const { config, limits } = container();
      const owner = config.authMode === "none" ? ANYONE : ownerOf(presentedKey(event), config.apiKeys);
      if (owner === undefined) {
        telemetry.count("AuthenticationFailures");
        const { retryAfterS } = await limits.failedAuthentication(event.requestContext.http.sourceIp);
        if (retryAfterS !== undefined) throw tooMany(retryAfterS);
        throw new AppError("unauthenticated", "Send a valid API key as X-API-Key or Authorization: Bearer.");
      }
      event.requestContext.authorizer = { lambda: { owner } };
    },
  };
}

function presentedKey({ headers }: ApiEvent): string | undefined {
  const bearer = /^Bearer (.+)$/i.exec(headers["authorization"] ?? "")?.[1];
  return headers["x-api-key"] ?? bearer;
}

/**
 * The id of the key. Digests are compared, in constant time and all of them, so that neither the place of the first
 * wrong byte, nor the length, nor which key came near shows in the time.
 */
function ownerOf(presented: string | undefined, keys: readonly ApiKey[]): string | undefined {
  const digest = createHash("sha256")
    .update(presented ?? "")
    .digest();
  let owner: string | undefined;
  for (const { id, sha256 } of keys) {
    if (timingSafeEqual(digest, sha256)) owner = id;
  }
  // An empty key is none, even where somebody configured the digest of nothing.
  return presented ? owner : undefined;
}
