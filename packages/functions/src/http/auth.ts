import type { Config } from "@parley/core/config";
import { AppError } from "@parley/core/error";

/** Everything belongs to one owner where authentication is off. */
const ANYONE = "anyone";

/** The owner that a request speaks for. Fails closed: without keys, only `AUTH_MODE=none` said aloud opens the API. */
export function authenticate(config: Pick<Config, "authMode">): string {
  if (config.authMode === "none") return ANYONE;
  throw new AppError("unauthenticated", "This deployment has no API keys: nobody can be let in.", {
    meta: { setting: "AUTH_MODE" },
  });
}
