import type { ApiEvent } from "@parley/functions/http/event";
import { requestIdOf } from "@parley/functions/http/request-id";
import { expect, test } from "vitest";
import { fc } from "../../support/property.ts";

const idOf = (given?: string, gateway = "JKJaXmPLvHcESHA=") =>
  requestIdOf(
    {
      headers: given === undefined ? {} : { "x-request-id": given },
      requestContext: { requestId: gateway },
    } as unknown as ApiEvent,
    { awsRequestId: "b3c1" },
  );

test.each(["a", "req-1", "A_b.c-9", "x".repeat(64), "0b1f2a3c-4d5e-6f70-8192-a3b4c5d6e7f8"])(
  "%s is kept",
  (id) => {
    expect(idOf(id)).toBe(id);
  },
);

test.each([
  "",
  " ",
  "x".repeat(65),
  "a b",
  "a\r\nset-cookie: x=1",
  "a\n",
  "\na",
  "a\u0000",
  "é",
  "a,b",
  "a;b",
  '"a"',
  "<a>",
])("%j is replaced by API Gateway's", (id) => {
  expect(idOf(id)).toBe("JKJaXmPLvHcESHA=");
});

test("without either it is Lambda's", () => {
  expect(idOf(undefined, "")).toBe("b3c1");
});

test("nothing that could end a header or a log line comes back", async () => {
  await fc.assert(
    fc.property(fc.string({ unit: "binary" }), (id) => {
      expect(idOf(id)).toMatch(/^[\w.=-]{1,64}$/);
    }),
  );
});
