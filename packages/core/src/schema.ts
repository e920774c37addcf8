// biome-ignore-start lint/style/noRestrictedImports: this is where the choice is made
import * as z from "zod/mini";
import en from "zod/v4/locales/en.js";

// The functional form of zod, and not `zod` itself: what a function does not use stays out of its bundle, and a quarter is
// left of 100 KB. It comes without messages: these are the ones of `zod`.
z.config(en());

export * from "zod/mini";
// biome-ignore-end lint/style/noRestrictedImports: this is where the choice is made

/** As in `zod`: what `schema` reads is what `change` makes of the input. */
export const preprocess = <T extends z.ZodMiniType>(change: (value: unknown) => unknown, schema: T) =>
  z.pipe(z.transform(change), schema as z.core.$ZodType) as z.ZodMiniPipe<z.ZodMiniTransform, T>;
