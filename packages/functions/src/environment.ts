import { linkedSettings } from "./links.ts";

/**
 * The one place of the edge that reads the environment and what is linked to the function; a variable wins over a link.
 * Powertools and AWS's SDK read theirs themselves.
 */
export const environment: Readonly<Record<string, string | undefined>> = {
  ...linkedSettings(),
  ...process.env,
};
