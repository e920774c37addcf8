import type { Message, MessageAttributeValue } from "@aws-sdk/client-sqs";

export type SqsMessageAttribute = {
  stringValue?: string;
  /** Base64. */
  binaryValue?: string;
  stringListValues: string[];
  binaryListValues: string[];
  dataType: string;
};

export type SqsRecord = {
  messageId: string;
  receiptHandle: string;
  body: string;
  attributes: {
    ApproximateReceiveCount: string;
    /** Epoch milliseconds. */
    SentTimestamp: string;
    SenderId: string;
    ApproximateFirstReceiveTimestamp: string;
    /** These three of FIFO queues alone. */
    SequenceNumber?: string;
    MessageGroupId?: string;
    MessageDeduplicationId?: string;
    AWSTraceHeader?: string;
  };
  messageAttributes: Record<string, SqsMessageAttribute>;
  md5OfBody: string;
  md5OfMessageAttributes?: string;
  eventSource: "aws:sqs";
  eventSourceARN: string;
  awsRegion: string;
};

export type SqsEvent = { Records: SqsRecord[] };

/** What Lambda makes of received messages. They must have been asked for with all their attributes. */
export function toEvent(messages: readonly Message[], queueArn: string): SqsEvent {
  const awsRegion = queueArn.split(":")[3] ?? "";
  return {
    Records: messages.map((message) => ({
      messageId: message.MessageId ?? "",
      receiptHandle: message.ReceiptHandle ?? "",
      body: message.Body ?? "",
      attributes: { ...message.Attributes } as SqsRecord["attributes"],
      messageAttributes: Object.fromEntries(
        Object.entries(message.MessageAttributes ?? {}).map(([name, value]) => [name, toAttribute(value)]),
      ),
      md5OfBody: message.MD5OfBody ?? "",
      ...(message.MD5OfMessageAttributes === undefined
        ? {}
        : { md5OfMessageAttributes: message.MD5OfMessageAttributes }),
      eventSource: "aws:sqs",
      eventSourceARN: queueArn,
      awsRegion,
    })),
  };
}

function toAttribute({ StringValue, BinaryValue, DataType }: MessageAttributeValue): SqsMessageAttribute {
  return {
    ...(StringValue === undefined ? {} : { stringValue: StringValue }),
    ...(BinaryValue === undefined ? {} : { binaryValue: Buffer.from(BinaryValue).toString("base64") }),
    stringListValues: [],
    binaryListValues: [],
    dataType: DataType ?? "String",
  };
}

/**
 * The records that a function with ReportBatchItemFailures reports as failed. Lambda's rules: an empty or null
 * response, and an empty or null list, mean success. Throws for what Lambda takes for the failure of the whole batch:
 * a malformed response, and an identifier that is missing, empty, or of no record of the batch.
 */
export function failedRecords(response: unknown, records: readonly SqsRecord[]): Set<SqsRecord> {
  if (response === undefined || response === null || response === "") return new Set();
  if (typeof response !== "object" || Array.isArray(response)) {
    throw new TypeError(`the response is not an object but ${JSON.stringify(response)}`);
  }
  const failures: unknown = "batchItemFailures" in response ? response.batchItemFailures : undefined;
  if (failures === undefined || failures === null) return new Set();
  if (!Array.isArray(failures)) throw new TypeError("batchItemFailures is not a list");
  const byId = new Map(records.map((record) => [record.messageId, record]));
  return new Set(
    failures.map((failure: unknown) => {
      const id = (failure as { itemIdentifier?: unknown } | null)?.itemIdentifier;
      const record = typeof id === "string" ? byId.get(id) : undefined;
      if (record === undefined) {
        throw new TypeError(
          `batchItemFailures has ${JSON.stringify(failure)}, which names no record of the batch`,
        );
      }
      return record;
    }),
  );
}

/**
 * The groups of which a record failed and a later one did not. Lambda deletes that later one all the same, so the
 * function has broken the group's order: on FIFO queues it is the function that must report what follows a failure.
 */
export function overtakenGroups(records: readonly SqsRecord[], failed: ReadonlySet<SqsRecord>): string[] {
  const blocked = new Set<string>();
  const overtaken = new Set<string>();
  for (const record of records) {
    const group = record.attributes.MessageGroupId;
    if (group === undefined) continue;
    if (failed.has(record)) blocked.add(group);
    else if (blocked.has(group)) overtaken.add(group);
  }
  return [...overtaken];
}
