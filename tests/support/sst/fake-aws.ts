import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** SST's own parameter of an account that is bootstrapped, by a version that needs no migration. */
const BOOTSTRAP = { version: 99, asset: "assets", state: "state", assetEcrRegistryId: "0", assetEcrUrl: "" };
const JSON_TYPE = { "content-type": "application/x-amz-json-1.1" };
const XML_TYPE = { "content-type": "application/xml" };

/**
 * As much of AWS as `sst diff` speaks to beside its engine, on 127.0.0.1: an account that is bootstrapped and has nothing
 * deployed. Whatever else is asked for is answered 501 and told by `unexpected`.
 */
export async function startFakeAws() {
  const unexpected: string[] = [];
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const target = request.headers["x-amz-target"];
    if (target === "AmazonSSM.GetParameter") {
      const { Name } = JSON.parse(body) as { Name: string };
      if (Name !== "/sst/bootstrap") {
        response.writeHead(400, JSON_TYPE).end(JSON.stringify({ __type: "ParameterNotFound" }));
        return;
      }
      const Parameter = { Name, Type: "String", Value: JSON.stringify(BOOTSTRAP) };
      response.writeHead(200, JSON_TYPE).end(JSON.stringify({ Parameter }));
    } else if (target === "AmazonSSM.PutParameter") {
      response.writeHead(200, JSON_TYPE).end("{}");
    } else if (target === undefined && request.method === "GET") {
      response.writeHead(404, XML_TYPE).end("<Error><Code>NoSuchKey</Code></Error>");
    } else if (target === undefined && (request.method === "PUT" || request.method === "DELETE")) {
      response.writeHead(200).end();
    } else {
      unexpected.push(`${request.method} ${request.url} ${target ?? ""}`);
      response.writeHead(501, JSON_TYPE).end(JSON.stringify({ __type: "NotImplemented" }));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    unexpected,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
