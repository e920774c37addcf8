import { type AnsweringContainer, compose } from "./container.ts";
import { once } from "./once.ts";

/** Of functions that answer. The model and its tools are loaded with the first turn. */
export const container = once(
  (): AnsweringContainer =>
    compose(async (config, shared) => (await import("./assistant.ts")).build(config, shared)),
);
