import { logLine } from "@parley/local/dev";
import { expect, test } from "vitest";

const output = (line: string) =>
  logLine({ type: "output", functionName: "f", instance: 1, stream: "stdout", line });

test("a request is one line, with the cold start that it paid for", () => {
  const request = {
    type: "request",
    method: "GET",
    path: "/v1",
    status: 200,
    durationMs: 12.4,
    requestId: "x",
  } as const;
  expect(logLine(request)).toBe("GET /v1 200 12 ms");
  expect(logLine({ ...request, coldStartMs: 300.6 })).toBe("GET /v1 200 12 ms (cold start 301 ms)");
});

test("warnings, errors and plain prints are shown, the rest of the functions' output is not", () => {
  expect(output('{"level":"ERROR","message":"broken"}')).toBe("f ERROR: broken");
  expect(output('{"level":"WARN","message":"careful"}')).toBe("f WARN: careful");
  expect(output('{"level":"INFO","message":"request"}')).toBeUndefined();
  expect(output('{"_aws":{"CloudWatchMetrics":[]}}')).toBeUndefined();
  expect(output("here 1")).toBe("f: here 1");
});
