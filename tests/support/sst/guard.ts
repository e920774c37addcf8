import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { Statement } from "./graph.ts";

const ACCOUNT = "arn:aws:%:us-east-1:123456789012:";
const arnOf = (service: string, resource: string) => ACCOUNT.replace("%", service) + resource;

type Body = Record<string, unknown>;
type Need = { action: string; resource: string };

/**
 * An engine behind IAM, as far as our own policies go: a request is passed on when the policy of whoever signed it allows
 * each of its actions on its resource, else answered AccessDeniedException and told by `denied`; `used` has every action that anybody asked for. Whoever signs says so by
 * the access key id; the signature itself is not looked at. `rewrite` is what a queue's URL becomes.
 */
export async function startGuard(options: {
  engine: string;
  /** Whose role an access key id stands for. */
  roleOf: (accessKeyId: string) => string;
  policyOf: (role: string) => readonly Statement[];
  rewrite?: (queueUrl: string) => string;
}) {
  const denied: string[] = [];
  const used = new Set<string>();
  const server = createServer(async (request, response) => {
    const target = String(request.headers["x-amz-target"] ?? "");
    const key = /Credential=([^/]+)\//.exec(request.headers.authorization ?? "")?.[1] ?? "";
    const who = options.roleOf(key);
    const body = JSON.parse(await text(request)) as Body;
    const needs = needsOf(target, body);
    for (const { action } of needs) used.add(`${who}: ${action}`);
    const refused = needs.find((need) => !allows(options.policyOf(who), need));
    if (refused) {
      denied.push(`${who}: ${refused.action} on ${refused.resource}`);
      const message = `${who} is not authorized to perform: ${refused.action} on resource: ${refused.resource}`;
      const __type = "com.amazon.coral.service#AccessDeniedException";
      response
        .writeHead(400, { "content-type": "application/x-amz-json-1.0" })
        .end(JSON.stringify({ __type, message }));
      return;
    }
    const queueUrl = body["QueueUrl"];
    const passed =
      typeof queueUrl === "string" ? { ...body, QueueUrl: options.rewrite?.(queueUrl) ?? queueUrl } : body;
    try {
      const answer = await fetch(options.engine, {
        method: "POST",
        headers: { "content-type": "application/x-amz-json-1.0", "x-amz-target": target },
        body: JSON.stringify(passed),
      });
      response
        .writeHead(answer.status, { "content-type": "application/x-amz-json-1.0" })
        .end(Buffer.from(await answer.arrayBuffer()));
    } catch {
      // The engine is gone, and with it whoever asked.
      response.destroy();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    denied,
    used,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** What IAM asks for, by Amazon's Service Authorization Reference: a transaction needs what each of its items does. */
function needsOf(target: string, body: Body): Need[] {
  const operation = target.slice(target.indexOf(".") + 1);
  if (target.startsWith("AmazonSQS.")) {
    const queue = String(body["QueueUrl"]).split("/").at(-1) ?? "";
    // There is no permission of its own for a batch.
    return [{ action: `sqs:${operation.replace(/Batch$/, "")}`, resource: arnOf("sqs", queue) }];
  }
  const items = (body["TransactItems"] ?? [{ [operation]: body }]) as Record<string, Body>[];
  return items.flatMap(Object.entries<Body>).map(([kind, { TableName, IndexName }]) => ({
    action: `dynamodb:${ITEM_ACTIONS[kind] ?? kind}`,
    resource: arnOf("dynamodb", `table/${TableName}${IndexName === undefined ? "" : `/index/${IndexName}`}`),
  }));
}

const ITEM_ACTIONS: Readonly<Record<string, string>> = {
  Put: "PutItem",
  Update: "UpdateItem",
  Delete: "DeleteItem",
  ConditionCheck: "ConditionCheckItem",
};

const allows = (policy: readonly Statement[], { action, resource }: Need) =>
  policy.some(
    ({ Effect, Action, Resource }) =>
      Effect === "Allow" && Action.includes(action) && Resource.includes(resource),
  );
