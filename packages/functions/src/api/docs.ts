import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { AppError } from "@parley/core/error";
import { environment } from "../environment.ts";
import { chain } from "../http/chain.ts";
import type { ApiEvent, ApiResult } from "../http/event.ts";
import { openApiDocument } from "./openapi.ts";

/** `GET /openapi.json`, and a page that shows it at `GET /docs`: Swagger UI, every file of it served from here. */
export const handler = chain().handler(async (event) => {
  if (event.rawPath === "/openapi.json") return send(event, "application/json", await documentText());
  const name = event.pathParameters?.["asset"];
  if (name === undefined) return send(event, "text/html; charset=utf-8", PAGE);
  const asset = Object.hasOwn(ASSETS, name) ? ASSETS[name] : undefined;
  if (!asset) throw new AppError("bad_route", "There is no such page.");
  return send(event, asset.type, await asset.read());
});

const documentText = async () => JSON.stringify(openApiDocument(environment["PARLEY_VERSION"] || "dev"));

const PAGE = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Parley API</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
  <div id="api"></div>
  <script src="docs/swagger-ui-bundle.js"></script>
  <script src="docs/start.js"></script>
</body>
</html>
`;
const START = `SwaggerUIBundle({ url: "openapi.json", dom_id: "#api", deepLinking: false, validatorUrl: null });\n`;

const ASSETS: Readonly<Record<string, { type: string; read: () => Promise<string> }>> = {
  "start.js": { type: "text/javascript; charset=utf-8", read: async () => START },
  "swagger-ui.css": { type: "text/css; charset=utf-8", read: () => vendored("swagger-ui.css") },
  "swagger-ui-bundle.js": {
    type: "text/javascript; charset=utf-8",
    read: () => vendored("swagger-ui-bundle.js"),
  },
};

/** From the folder of the deployed code that Swagger UI was copied to, else from the package itself. */
function vendored(name: string): Promise<string> {
  const { SWAGGER_UI_DIR: copied = "", LAMBDA_TASK_ROOT: root = "" } = environment;
  const folder = copied
    ? resolve(root, copied)
    : dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
  return readFile(join(folder, name), "utf8");
}

// Swagger UI draws icons from data: URLs; it loads and calls nothing but this API.
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const compress = promisify(gzip);

async function send(event: ApiEvent, type: string, text: string): Promise<ApiResult> {
  const headers = {
    "content-type": type,
    "content-security-policy": PAGE_POLICY,
    "cache-control": "public, max-age=300",
    // What may be kept and shared depends on both.
    vary: "accept-encoding, origin",
  };
  if (!/\bgzip\b/.test(event.headers["accept-encoding"] ?? ""))
    return { statusCode: 200, headers, body: text };
  return {
    statusCode: 200,
    headers: { ...headers, "content-encoding": "gzip" },
    body: (await compress(text)).toString("base64"),
    isBase64Encoded: true,
  };
}
