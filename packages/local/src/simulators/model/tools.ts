import { ApiError, emptyArray, invalidType, missing } from "./api-error.ts";
import { isObject, type Json } from "./json.ts";
import type { OfferedTool } from "./types.ts";

const NAME = /^[a-zA-Z0-9_-]{1,64}$/;
/** JSON Schema keywords that strict function calling does not take. */
const NOT_STRICT = ["minLength", "maxLength", "allOf", "not", "if", "then", "else", "dependentRequired"];

/** Where a function's fields are: Chat Completions has them in an object of their own. */
type Place = "function" | undefined;

/** Reads and checks the `tools` of a request. */
export function readTools(value: unknown, place?: Place): OfferedTool[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalidType("tools", "an array of objects", value);
  if (value.length === 0 && place) throw emptyArray("tools");
  const tools = value.map((each: unknown, index) => readTool(each, index, place));
  const names = tools.map(({ name }) => name);
  const twice = names.findIndex((name, index) => names.indexOf(name) !== index);
  if (twice >= 0) {
    throw new ApiError(400, `Invalid 'tools': the function name '${names[twice]}' must be unique.`, {
      param: [`tools[${twice}]`, place, "name"].filter(Boolean).join("."),
      code: "invalid_value",
    });
  }
  return tools;
}

function readTool(value: unknown, index: number, place: Place): OfferedTool {
  const at = `tools[${index}]`;
  if (!isObject(value)) throw invalidType(at, "an object", value);
  if (value["type"] !== "function") throw missing(`${at}.type`);
  const within = place ? `${at}.${place}` : at;
  const offered = place ? value[place] : value;
  if (!isObject(offered)) throw missing(within);
  const { name, description, parameters = {}, strict } = offered;
  if (typeof name !== "string") throw missing(`${within}.name`);
  if (!NAME.test(name)) {
    throw new ApiError(
      400,
      `Invalid '${within}.name': string does not match pattern. Expected a string that matches the pattern '${NAME.source}'.`,
      { param: `${within}.name`, code: "invalid_value" },
    );
  }
  if (!isObject(parameters)) throw invalidType(`${within}.parameters`, "an object", parameters);
  const problem = strict === true ? strictProblem(parameters, []) : undefined;
  if (problem !== undefined) {
    throw new ApiError(400, `Invalid schema for function '${name}': ${problem}`, {
      param: `${within}.parameters`,
      code: "invalid_function_parameters",
    });
  }
  return { name, description: typeof description === "string" ? description : "", parameters };
}

/** What keeps a schema from being strict, in OpenAI's words. */
function strictProblem(schema: unknown, context: readonly string[]): string | undefined {
  if (!isObject(schema)) return undefined;
  const where = `In context=(${context.map((each) => `'${each}'`).join(", ")})`;
  if (schema["type"] === "object" || schema["properties"] !== undefined) {
    const properties = isObject(schema["properties"]) ? schema["properties"] : {};
    if (schema["additionalProperties"] !== false) {
      return `${where}, 'additionalProperties' is required to be supplied and to be false.`;
    }
    const required: readonly unknown[] = Array.isArray(schema["required"]) ? schema["required"] : [];
    const absent = Object.keys(properties).find((key) => !required.includes(key));
    if (absent !== undefined) {
      return `${where}, 'required' is required to be supplied and to be an array including every key in properties. Missing '${absent}'.`;
    }
  }
  const refused = NOT_STRICT.find((keyword) => schema[keyword] !== undefined);
  if (refused !== undefined) return `${where}, '${refused}' is not permitted.`;
  for (const [inner, path] of subschemas(schema)) {
    const problem = strictProblem(inner, [...context, ...path]);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function* subschemas(schema: Json): Generator<[schema: unknown, path: string[]]> {
  for (const keyword of ["properties", "$defs"]) {
    const named = schema[keyword];
    if (isObject(named)) for (const [name, inner] of Object.entries(named)) yield [inner, [keyword, name]];
  }
  if (schema["items"] !== undefined) yield [schema["items"], ["items"]];
  const either = schema["anyOf"];
  if (Array.isArray(either))
    for (const [index, inner] of either.entries()) yield [inner, ["anyOf", String(index)]];
}

/**
 * Arguments for a tool that satisfy its schema: of `wanted` what it has a place for, otherwise null where null is
 * allowed, otherwise the plainest value of the type.
 */
export function fitArguments(tool: OfferedTool, wanted: Json): Json {
  const properties = isObject(tool.parameters["properties"]) ? tool.parameters["properties"] : {};
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [
      name,
      fitting(isObject(schema) ? schema : {}, wanted[name]),
    ]),
  );
}

function fitting(schema: Json, wanted: unknown): unknown {
  const either = alternatives(schema);
  for (const each of either) {
    const types = typesOf(each);
    if (wanted === null || wanted === undefined) continue;
    if (Array.isArray(each["enum"]) && !each["enum"].includes(wanted)) continue;
    if (typeof wanted === "string" && types.includes("string")) return shortened(wanted, each["maxLength"]);
    if (typeof wanted === "number" && (types.includes("integer") || types.includes("number"))) {
      return clamped(wanted, each);
    }
    if (typeof wanted === "boolean" && types.includes("boolean")) return wanted;
  }
  if (either.some((each) => typesOf(each).includes("null"))) return null;
  return plainest(either[0] ?? {});
}

function alternatives(schema: Json): Json[] {
  return Array.isArray(schema["anyOf"]) ? schema["anyOf"].filter(isObject) : [schema];
}

function typesOf(schema: Json): readonly unknown[] {
  return Array.isArray(schema["type"]) ? schema["type"] : [schema["type"]];
}

function shortened(text: string, limit: unknown): string {
  return typeof limit === "number" ? text.slice(0, limit).toWellFormed() : text;
}

function clamped(value: number, { minimum, maximum }: Json): number {
  const least = typeof minimum === "number" ? minimum : value;
  const most = typeof maximum === "number" ? maximum : value;
  return Math.min(Math.max(value, least), most);
}

function plainest(schema: Json): unknown {
  if (Array.isArray(schema["enum"])) return schema["enum"][0];
  switch (typesOf(schema)[0]) {
    case "integer":
    case "number":
      return typeof schema["minimum"] === "number" ? schema["minimum"] : 1;
    case "boolean":
      return false;
    case "array":
      return [];
    case "object":
      return {};
    default:
      return "";
  }
}
