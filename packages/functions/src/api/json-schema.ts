import { toJSONSchema } from "@parley/core/json-schema";
import type * as z from "@parley/core/schema";

/**
 * What a client may send, or gets, as JSON Schema: the input of the schema's transformations. `open` allows fields that
 * the schema does not know.
 */
export function schemaOf(schema: z.ZodMiniType, options: { open?: boolean } = {}): Record<string, unknown> {
  const { $schema, ...json } = toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      // What an empty value is read as is no concern of the client: the schema behind is the one to show.
      const definition = zodSchema._zod.def;
      if (definition.type === "pipe" && definition.in._zod.def.type === "transform") {
        Object.assign(jsonSchema, schemaOf(definition.out as z.ZodMiniType, options));
      }
      if (options.open) delete jsonSchema.additionalProperties;
      // The calendar's rules as a regular expression tell a reader less than the format's name.
      if (jsonSchema.format === "date-time") delete jsonSchema.pattern;
    },
  }) as Record<string, unknown>;
  return json;
}
