import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { type Stack, startStack } from "@parley/local/stack";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { findBrowser, startBrowser } from "../support/browser.ts";
import { deploy, KEY, startEngines } from "../support/deployment.ts";

let dataDir: string;
let stack: Stack;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "parley-docs-"));
  stack = await startStack({ env: {}, dataDir });
});
afterAll(async () => {
  await stack?.close();
  await rm(dataDir, { recursive: true });
});

/** As it goes over the wire: nothing unpacked, no path made tidy. */
async function get(path: string, headers: Record<string, string> = {}) {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(stack.url, { path, headers }, resolve).on("error", reject).end();
  });
  return { status: response.statusCode, headers: response.headers, body: await buffer(response) };
}

describe("what the page is made of", () => {
  const assets = [
    ["/docs", "text/html; charset=utf-8", "<title>Parley API</title>"],
    ["/docs/start.js", "text/javascript; charset=utf-8", "SwaggerUIBundle("],
    ["/docs/swagger-ui.css", "text/css; charset=utf-8", ".swagger-ui"],
    ["/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8", "SwaggerUIBundle"],
    ["/openapi.json", "application/json", '"openapi":"3.1.0"'],
  ] as const;

  test.each(assets)("%s is %s, plain and packed", async (path, type, text) => {
    const plain = await get(path);
    const packed = await get(path, { "accept-encoding": "br, gzip;q=0.9" });
    for (const { status, headers } of [plain, packed]) {
      expect(status).toBe(200);
      expect(headers).toMatchObject({
        "content-type": type,
        "cache-control": "public, max-age=300",
        vary: "accept-encoding, origin",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
      });
    }
    expect(plain.headers).not.toHaveProperty("content-encoding");
    expect(plain.body.toString()).toContain(text);
    expect(packed.headers).toHaveProperty("content-encoding", "gzip");
    expect(gunzipSync(packed.body)).toEqual(plain.body);
  });

  test("its policy lets it load from here alone", async () => {
    const policy = String((await get("/docs")).headers["content-security-policy"]);
    const sources = policy.split("; ").flatMap((directive) => directive.split(" ").slice(1));
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(new Set(sources)).toEqual(new Set(["'none'", "'self'", "data:"]));
  });

  test.each([
    "/docs/",
    "/docs/index.html",
    "/docs/package.json",
    "/docs/..%2f..%2fpackage.json",
    "/docs/..%2fswagger-ui.css",
    "/docs/%2e%2e%2f%2e%2e%2fpackage.json",
    "/docs/..%5c..%5cpackage.json",
    "/docs/../package.json",
    "/docs/../../../package.json",
    "/docs/%2fetc%2fpasswd",
    "/docs/swagger-ui.css%00.js",
    "/docs/swagger-ui.css/..",
    "/docs/SWAGGER-UI.CSS",
    "/docs/__proto__",
    "/docs/constructor",
  ])("%s is not there", async (path) => {
    const { status, headers, body } = await get(path);
    expect(status).toBe(404);
    expect(headers["content-type"]).toBe("application/json");
    expect(JSON.parse(body.toString())).toMatchObject({ code: "bad_route" });
  });
});

test("Swagger UI is the one in the folder that a deployment names", async () => {
  await writeFile(join(dataDir, "swagger-ui.css"), "/* copied */");
  const other = await startStack({ env: { SWAGGER_UI_DIR: dataDir, PARLEY_VERSION: "1.2.3" }, dataDir });
  try {
    expect(await (await fetch(`${other.url}/docs/swagger-ui.css`)).text()).toBe("/* copied */");
    expect(await (await fetch(`${other.url}/openapi.json`)).json()).toMatchObject({
      info: { version: "1.2.3" },
    });
  } finally {
    await other.close();
  }
});

const executable = findBrowser();
if (executable === undefined) {
  process.stdout.write("skipped: the API's page in a browser (no chromium or google-chrome on PATH)\n");
}

describe.skipIf(executable === undefined)("the page in a browser", () => {
  let browser: Browser;
  let page: Page;
  let requests: string[];
  let complaints: string[];

  beforeAll(async () => {
    browser = await startBrowser(executable!);
  });
  afterAll(() => browser?.close());

  beforeEach(async () => {
    requests = [];
    complaints = [];
    page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });
    // Sooner than the test's own limit: what it waited for is then named.
    page.setDefaultTimeout(20_000);
    page.on("request", (each) => requests.push(each.url()));
    page.on("requestfailed", (each) => complaints.push(`${each.url()}: ${each.failure()?.errorText}`));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => {
      // What the content security policy blocks is told as an error, too.
      if (["error", "warning"].includes(message.type())) complaints.push(message.text());
    });
  });
  afterEach(() => page.close());

  async function open(url: string): Promise<void> {
    await page.goto(`${url}/docs`);
    await page.locator(".opblock").first().waitFor();
  }

  /** Unfolds an operation, changes what `fill` says, sends it, and reads the answer. */
  async function execute(id: string, fill: (operation: ReturnType<Page["locator"]>) => Promise<void>) {
    const operation = page.locator(`[id="operations-${id}"]`);
    await operation.locator(".opblock-summary").click();
    await operation.getByRole("button", { name: "Try it out" }).click();
    await fill(operation);
    await operation.getByRole("button", { name: "Execute" }).click();
    const answer = operation.locator(".live-responses-table tbody tr");
    const status = await answer.locator(".response-col_status").innerText();
    const body = await answer.locator(".microlight, .highlight-code code").first().innerText();
    return { status: Number.parseInt(status, 10), body: JSON.parse(body) as Record<string, unknown> };
  }

  function expectNothingWrong(url: string): void {
    expect(complaints).toEqual([]);
    expect(requests.filter((each) => !each.startsWith(`${url}/`) && !each.startsWith("data:"))).toEqual([]);
  }

  test("shows every operation, sends a message and reads the reply", async () => {
    await open(stack.url);
    expect(await page.locator(".title").first().innerText()).toContain("Parley");
    const documented = JSON.parse((await get("/openapi.json")).body.toString()) as {
      paths: Record<string, object>;
    };
    const operations = Object.values(documented.paths).flatMap((methods) => Object.keys(methods));
    expect(await page.locator(".opblock").count()).toBe(operations.length);

    const sent = await execute("REST-continue-by-session", async (operation) => {
      const editor = operation.locator("textarea");
      const example = JSON.parse(await editor.inputValue()) as Record<string, unknown>;
      await editor.fill(JSON.stringify({ ...example, message: "What's the weather in Barcelona?" }));
    });
    expect(sent).toMatchObject({ status: 200, body: { reply: expect.stringContaining("Barcelona") } });

    const listed = await execute("REST-list-conversations", (operation) =>
      operation.getByPlaceholder("page_size").fill("5"),
    );
    expect(listed).toMatchObject({
      status: 200,
      body: { conversations: [{ id: sent.body["conversation_id"] }], next_page_token: "" },
    });
    expect(requests).toContain(`${stack.url}/v1/conversations?page_size=5`);
    expectNothingWrong(stack.url);
  });

  test("takes a key where one is asked for", async () => {
    const engines = await startEngines();
    const deployment = await deploy(engines);
    try {
      await open(deployment.url);
      await page.getByRole("button", { name: "Authorize" }).first().click();
      const dialog = page.locator(".modal-ux");
      await dialog.locator("#api_key_value").fill(KEY.secret);
      await dialog.getByRole("button", { name: "Apply credentials" }).first().click();
      await dialog.getByRole("button", { name: "Close" }).first().click();
      const listed = await execute("REST-list-conversations", async () => {});
      expect(listed).toEqual({ status: 200, body: { conversations: [], next_page_token: "" } });
      expectNothingWrong(deployment.url);
    } finally {
      await deployment.close();
      await engines.close();
    }
  });
});
