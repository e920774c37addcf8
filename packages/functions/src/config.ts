import { Config } from "@parley/core/config";
import { environment } from "./environment.ts";

/** Settings are there without the rest: what needs no service is answered even when others are wrong or missing. */
export const config = new Config(environment);
