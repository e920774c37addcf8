import { linkedSettings } from "./links.ts";

// For Powertools: what was thrown may repeat what a user wrote. A trace gets its kind, the log has the rest.
process.env["POWERTOOLS_TRACER_CAPTURE_ERROR"] ??= "false";

/**
 * The one place of the edge that reads the environment and what is linked to the function; a variable wins over a link.
 * Powertools and AWS's SDK read theirs themselves.
 */
export const environment: Readonly<Record<string, string | undefined>> = {
  ...linkedSettings(),
  ...process.env,
};

/** The trace of the invocation under way, as Lambda's runtime names it anew for each. */
export const traceHeader = () => process.env["_X_AMZN_TRACE_ID"];
