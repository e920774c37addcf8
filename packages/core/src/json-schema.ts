// On its own, for only functions that answer or document themselves have to load it.
export { toJSONSchema } from "zod/v4/core";
