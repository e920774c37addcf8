import { describe, expect, test } from "vitest";
import { stageGraph } from "../support/sst/stages.ts";

const production = stageGraph("production");

/** README's table, and what Twirp's clients call. */
const ROUTES = {
  "POST /v1/conversations": "StartConversation",
  "POST /v1/conversations/{id}/messages": "ContinueConversation",
  "POST /v1/messages": "ContinueConversation",
  "GET /v1/conversations": "ListConversations",
  "GET /v1/conversations/{id}": "DescribeConversation",
  "DELETE /v1/conversations/{id}": "DeleteConversation",
  "GET /v1/conversations/{id}/export": "ExportConversation",
  "POST /twirp/acai.chat.ChatService/StartConversation": "StartConversation",
  "POST /twirp/acai.chat.ChatService/ContinueConversation": "ContinueConversation",
  "POST /twirp/acai.chat.ChatService/ListConversations": "ListConversations",
  "POST /twirp/acai.chat.ChatService/DescribeConversation": "DescribeConversation",
  "POST /telegram/{bot}": "TelegramWebhook",
  "GET /health": "Health",
  "GET /ready": "Health",
  "GET /openapi.json": "Docs",
  "GET /docs": "Docs",
  "GET /docs/{asset}": "Docs",
  $default: "Fallback",
};

describe("routes", () => {
  test("each leads to its function", () => {
    expect(production.routes()).toEqual(ROUTES);
  });

  test("API Gateway may invoke every function behind one, and nothing else is invoked", () => {
    const allowed = production
      .all("aws:lambda/permission:Permission")
      .map(({ inputs }) => [inputs["principal"], production.functionOf(inputs["function"])]);
    expect(new Set(allowed.map(([principal]) => principal))).toEqual(new Set(["apigateway.amazonaws.com"]));
    expect(new Set(allowed.map(([, name]) => name))).toEqual(new Set(Object.values(ROUTES)));
    expect([...new Set([...Object.values(ROUTES), "TelegramWorker"])].sort()).toEqual(production.functions);
  });

  test("hand over requests as payload 2.0", () => {
    for (const { inputs } of production.all("aws:apigatewayv2/integration:Integration")) {
      expect(inputs).toMatchObject({ integrationType: "AWS_PROXY", payloadFormatVersion: "2.0" });
    }
  });
});

describe.each([
  { stage: "development", rate: 50, burst: 100, retention: 7 },
  { stage: "production", rate: 200, burst: 400, retention: 90 },
] as const)("the API in $stage", ({ stage, rate, burst, retention }) => {
  const graph = stageGraph(stage);

  test("is throttled", () => {
    expect(graph.one("aws:apigatewayv2/stage:Stage").inputs["defaultRouteSettings"]).toEqual({
      throttlingRateLimit: rate,
      throttlingBurstLimit: burst,
      detailedMetricsEnabled: false,
    });
  });

  test("is closed to other origins at the gateway", () => {
    expect(graph.one("aws:apigatewayv2/api:Api").inputs["corsConfiguration"]).toEqual({});
  });

  test.each(graph.functions)(
    "%s runs on Node 24 and arm64, under the gateway's 30 seconds, with JSON logs",
    (name) => {
      const { timeout, ...inputs } = graph.fn(name);
      expect(inputs).toMatchObject({
        runtime: "nodejs24.x",
        architectures: ["arm64"],
        memorySize: 1024,
        handler: "bundle.handler",
        loggingConfig: { logFormat: "JSON" },
        tracingConfig: { mode: "Active" },
      });
      if (name !== "TelegramWorker") expect(timeout).toBeLessThan(30);
      expect(graph.one("aws:cloudwatch/logGroup:LogGroup", `${name}LogGroup`).inputs["retentionInDays"]).toBe(
        retention,
      );
    },
  );
});
