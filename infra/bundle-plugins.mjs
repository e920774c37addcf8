// What bundles leave out, or load in another way, as esbuild plugins. SST runs this file with `node`, beside its own
// esbuild and through a bridge: onResolve and onLoad are all it knows, it does not heed filters, and takes no pluginData.
// An exception in here stops a deployment without a word. Hence plain JavaScript, and every decision in the callback.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const SELF = "infra/bundle-plugins.mjs";

/** Functions that say why they are not there, should anybody come to call them. */
const absent = (what, ...names) =>
  names
    .map(
      (name) => `export function ${name}() { throw new Error("${what} is not in the bundle: see ${SELF}"); }`,
    )
    .join("\n");

/** What infra/deployment.ts reads as well. */
const isInMongo = process.env["STORE"] === "mongodb";

/** What stands in for modules that a deployed function does not use. */
const UNUSED = {
  // Lambda has the credentials in its environment: there are no profiles, no single sign-on, no instance's metadata.
  "aws-sign-in": absent(
    "Another way to sign in to AWS than by the environment",
    "fromSSO",
    "fromIni",
    "fromProcess",
    "fromTokenFile",
    "fromHttp",
    "fromContainerMetadata",
    "fromInstanceMetadata",
  ),
  // Neither DynamoDB nor SQS has streams of events.
  "event-streams": absent("@smithy/core/event-streams", "EventStreamSerde", "eventStreamSerdeProvider"),
  // For the user agent of a browser.
  bowser: absent("bowser", "parse"),
  // For DynamoDB's endpoint discovery, which is off; on, a cache that forgets asks every time.
  "endpoint-cache":
    "export class EndpointCache { getEndpoint() {} get() {} set() {} delete() {} has() { return false } clear() {} }",
  // For the rate limiter's statistics, which are off.
  analytics: absent("@upstash/core-analytics", "Analytics"),
  // X-Ray's SDK compares two plain versions with it.
  semver: "exports.gte = (a, b) => a.localeCompare(b, 'en', { numeric: true }) >= 0",
  // A deployment keeps conversations in one store.
  "other-store": isInMongo
    ? absent("DynamoDB's adapter", "openDynamoStorage")
    : absent("MongoDB's adapter", "openMongoStorage"),
  // Whoever asks zod for JSON Schema does so by core's json-schema.ts (see ZOD_JSON_SCHEMA); whoever does not, starts without it.
  "json-schema": absent(
    "zod's toJSONSchema, but for core's json-schema.ts,",
    "toJSONSchema",
    "JSONSchemaGenerator",
  ),
  // What X-Ray's SDK tells of the calls of a client of AWS that it was given: it is given none.
  "x-ray-calls": "exports.services = {}",
};
const UNUSED_BY_PATH = {
  "@aws-sdk/credential-provider-sso": "aws-sign-in",
  "@aws-sdk/credential-provider-ini": "aws-sign-in",
  "@aws-sdk/credential-provider-process": "aws-sign-in",
  "@aws-sdk/credential-provider-web-identity": "aws-sign-in",
  "@aws-sdk/credential-provider-http": "aws-sign-in",
  "@smithy/credential-provider-imds": "aws-sign-in",
  "@smithy/core/event-streams": "event-streams",
  bowser: "bowser",
  "@aws-sdk/endpoint-cache": "endpoint-cache",
  "@upstash/core-analytics": "analytics",
  semver: "semver",
  "../resources/aws_whitelist.json": "x-ray-calls",
};

/** zod's own index leads to this code from everywhere, and esbuild would have every function read it at its start. */
const ZOD_JSON_SCHEMA = {
  through: /\/zod\/v4\/(?:core\/index|mini\/external)\.js$/,
  file: /\/(?:json-schema-processors|json-schema-generator|to-json-schema)\.js$/,
  from: /\/core\/src\/json-schema\.ts$/,
};

const OTHER_STORE = isInMongo ? /\/src\/dynamo-storage\.ts$/ : /\/src\/mongo-storage\.ts$/;

/**
 * Of OpenAI's two dozen resources we use two, Chat Completions and Responses, and of these neither their streams nor what
 * belongs to them besides; its client makes an object of each.
 */
const OPENAI_CLIENT =
  /\/openai\/(?:client|resources\/index|resources\/chat\/completions\/completions|resources\/responses\/responses)\.mjs$/;
const OTHER_OPENAI =
  /\/openai\/(?:resources\/(?!chat\/|responses\/responses\.|shared\.|index\.)|lib\/ChatCompletion\w*(?:Stream|Runner)\.|lib\/responses\/)/;

/** Its classes can be made, for the client does; whoever asks them for something is told. */
const absentOpenAi = (source) =>
  [
    `const absent = new Proxy(class {}, { construct: () => absent, get() { throw new Error("This part of OpenAI's client is not in the bundle: see ${SELF}"); } });`,
    ...Array.from(source.matchAll(/^export class (\w+)/gm), ([, name]) => `export const ${name} = absent;`),
  ].join("\n");

/**
 * The rules of the world's holidays: one file of their package, copied beside the bundle (`extraFiles` in infra/bundle.ts)
 * and read when a country is first asked for. Bundled, they would outweigh all of our own code. `sst dev` copies nothing,
 * and finds the package.
 */
const HOLIDAYS = `
import { createRequire } from "node:module";
const load = createRequire(import.meta.url);
let Holidays;
try {
  Holidays = load("./date-holidays.cjs").Holidays.default;
} catch (error) {
  if (error.code !== "MODULE_NOT_FOUND") throw error;
  Holidays = load("date-holidays");
}
export default Holidays.default ?? Holidays;
`;

/** By namespace. What stands in for a module is a module of its own. */
const contentsOf = {
  holidays: () => HOLIDAYS,
  unused: (path) => UNUSED[path],
  openai: (path) => absentOpenAi(readFileSync(path, "utf8")),
  // An `import` of node:http reads all that it exports, and some of it loads undici: 20 ms. This reads what is used.
  builtin: (path) => `module.exports = process.getBuiltinModule("node:${path}")`,
  // Of its own package.json a client wants the version.
  version: (path) => `export default { version: "${JSON.parse(readFileSync(path, "utf8")).version}" }`,
};

function standIn({ path, importer, resolveDir, kind }) {
  if (Object.hasOwn(UNUSED_BY_PATH, path)) return { path: UNUSED_BY_PATH[path], namespace: "unused" };
  if (path === "date-holidays") return { path, namespace: "holidays" };
  const imported = kind === "import-statement";
  const builtin = imported && /^(?:node:)?(https?)$/.exec(path)?.[1];
  if (builtin) return { path: builtin, namespace: "builtin" };
  const file = join(resolveDir, path);
  if (ZOD_JSON_SCHEMA.file.test(path) && ZOD_JSON_SCHEMA.through.test(importer)) {
    return { path: "json-schema", namespace: "unused" };
  }
  if (path === "zod/v4/core" && ZOD_JSON_SCHEMA.from.test(importer)) {
    return { path: join(createRequire(importer).resolve(path), "../json-schema-processors.js") };
  }
  if (OTHER_STORE.test(file)) return { path: "other-store", namespace: "unused" };
  if (OPENAI_CLIENT.test(importer) && OTHER_OPENAI.test(file)) return { path: file, namespace: "openai" };
  if (/\/@aws-sdk\/[\w-]+\/package\.json$/.test(file)) return { path: file, namespace: "version" };
  // It names its CommonJS alone, of which nothing can be left out.
  if (path === "@upstash/ratelimit") {
    return { path: createRequire(importer).resolve(path).replace(/\.js$/, ".mjs") };
  }
  return undefined;
}

export default [
  {
    name: "parley",
    setup(build) {
      build.onResolve({ filter: /.*/ }, standIn);
      build.onLoad({ filter: /.*/ }, ({ path, namespace }) => {
        const contents = contentsOf[namespace]?.(path);
        return contents === undefined ? undefined : { contents, loader: "js" };
      });
    },
  },
];
