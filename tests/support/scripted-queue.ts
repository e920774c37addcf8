import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";

export type ScriptedMessage = { id: string; group: string; body?: string };

/**
 * The SQS protocol with one hand-built answer to ReceiveMessage, for what the local queue never does: several
 * messages of a group at once. Later receives wait for messages that never come.
 */
export async function startScriptedQueue(messages: readonly ScriptedMessage[]) {
  const deleted: string[] = [];
  let answered = false;

  function answer(operation: string, input: { Entries?: { Id: string; ReceiptHandle: string }[] }): unknown {
    if (operation === "DeleteMessageBatch") {
      const entries = input.Entries ?? [];
      deleted.push(...entries.map(({ ReceiptHandle }) => ReceiptHandle.replace("receipt-", "")));
      return { Successful: entries.map(({ Id }) => ({ Id })), Failed: [] };
    }
    if (operation !== "ReceiveMessage") return { Attributes: {} };
    if (answered) return undefined;
    answered = true;
    return { Messages: messages.map(toMessage) };
  }

  const server = createServer(async (request, response: ServerResponse) => {
    const operation = String(request.headers["x-amz-target"]).replace("AmazonSQS.", "");
    const reply = answer(operation, (await json(request)) as object);
    if (reply === undefined) return;
    response.writeHead(200, { "content-type": "application/x-amz-json-1.0" });
    response.end(JSON.stringify(reply));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Ids of the messages in the order of their deletion. */
    deleted,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function toMessage({ id, group, body = id }: ScriptedMessage, at: number) {
  return {
    MessageId: id,
    ReceiptHandle: `receipt-${id}`,
    Body: body,
    MD5OfBody: createHash("md5").update(body).digest("hex"),
    Attributes: {
      ApproximateReceiveCount: "1",
      SentTimestamp: "1",
      SenderId: "test",
      ApproximateFirstReceiveTimestamp: "1",
      SequenceNumber: String(at + 1),
      MessageGroupId: group,
      MessageDeduplicationId: randomUUID(),
    },
  };
}
