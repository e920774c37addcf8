import { upstashToken, upstashUrl } from "./secrets.ts";

/** Upstash Redis is spoken to over HTTPS: what a function needs of it is its address and its token. */
export const redis = [upstashUrl, upstashToken];
