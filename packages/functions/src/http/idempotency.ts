import { AppError } from "@parley/core/error";
import type { ApiEvent } from "./event.ts";

const HEADER = "idempotency-key";
// What a header can carry without being read in two ways.
const KEY = /^[\x21-\x7e]{1,255}$/;

/** The client's name for the turn. @throws AppError invalid_argument */
export function turnIdOf({ headers }: Pick<ApiEvent, "headers">): string | undefined {
  const key = headers[HEADER];
  if (key === undefined || KEY.test(key)) return key;
  throw new AppError(
    "invalid_argument",
    `${HEADER}: must be 1 to 255 printable ASCII characters without spaces`,
    {
      meta: { argument: HEADER },
    },
  );
}
