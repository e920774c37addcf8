import type { EmfDocument } from "@parley/local/cloudwatch/emf";
import { Ajv } from "ajv";

/**
 * The JSON schema of CloudWatch's Embedded Metric Format Specification
 * (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html),
 * without its titles and examples.
 */
const schema = {
  type: "object",
  required: ["_aws"],
  properties: {
    _aws: {
      type: "object",
      required: ["Timestamp", "CloudWatchMetrics"],
      properties: {
        Timestamp: { type: "integer" },
        CloudWatchMetrics: {
          type: "array",
          items: {
            type: "object",
            required: ["Namespace", "Dimensions", "Metrics"],
            properties: {
              Namespace: { type: "string", pattern: "^(.*)$", minLength: 1, maxLength: 1024 },
              Dimensions: {
                type: "array",
                minItems: 1,
                items: {
                  type: "array",
                  minItems: 0,
                  maxItems: 30,
                  items: { type: "string", pattern: "^(.*)$", minLength: 1, maxLength: 250 },
                },
              },
              Metrics: {
                type: "array",
                // In the specification's words, not in its schema.
                maxItems: 100,
                items: {
                  type: "object",
                  required: ["Name"],
                  properties: {
                    Name: { type: "string", pattern: "^(.*)$", minLength: 1, maxLength: 1024 },
                    Unit: {
                      type: "string",
                      pattern:
                        "^(Seconds|Microseconds|Milliseconds|Bytes|Kilobytes|Megabytes|Gigabytes|Terabytes|Bits|Kilobits|Megabits|Gigabits|Terabits|Percent|Count|Bytes\\/Second|Kilobytes\\/Second|Megabytes\\/Second|Gigabytes\\/Second|Terabytes\\/Second|Bits\\/Second|Kilobits\\/Second|Megabits\\/Second|Gigabits\\/Second|Terabits\\/Second|Count\\/Second|None)$",
                    },
                    StorageResolution: { type: "integer" },
                  },
                },
              },
            },
          },
        },
      },
    },
  },
};

const matches = new Ajv({ allErrors: true }).compile<EmfDocument>(schema);

/** What CloudWatch takes at the most: an event's bytes, two weeks back, two hours ahead, values of 2^360. */
const MAX_BYTES = 1024 * 1024;
const OLDEST_MS = 14 * 86_400_000;
const NEWEST_MS = 2 * 3_600_000;
const MAX_VALUE = 2 ** 360;

/** What CloudWatch would not take of a line: by its schema, and by the rules that its specification has in words. */
export function emfProblems(line: string): string[] {
  const document: unknown = JSON.parse(line);
  if (!matches(document))
    return (matches.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
  const problems: string[] = [];
  if (Buffer.byteLength(line) > MAX_BYTES) problems.push("is over 1 MB");
  const ageMs = Date.now() - document._aws.Timestamp;
  if (ageMs > OLDEST_MS || -ageMs > NEWEST_MS) problems.push("is too old, or of the future");
  for (const { Dimensions, Metrics } of document._aws.CloudWatchMetrics) {
    for (const name of Dimensions.flat()) {
      const value = document[name];
      if (typeof value !== "string" || value.length < 1 || value.length > 1024)
        problems.push(`the dimension ${name} is ${JSON.stringify(value)}`);
    }
    for (const { Name } of Metrics) {
      const values = [document[Name]].flat();
      const isNumber = (value: unknown) => Number.isFinite(value) && Math.abs(Number(value)) <= MAX_VALUE;
      if (values.length < 1 || values.length > 100 || !values.every(isNumber))
        problems.push(`the metric ${Name} is ${JSON.stringify(document[Name])}`);
    }
  }
  return problems;
}
