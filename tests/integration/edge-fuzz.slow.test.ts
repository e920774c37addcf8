import { afterAll, beforeAll, expect, test } from "vitest";
import { parseJson } from "../support/in-process.ts";
import { fc } from "../support/property.ts";
import { type WildRequest, wildRequests } from "../support/wild-requests.ts";
import { startWildService, type WildService, watched } from "../support/wild-service.ts";

/** `FUZZ_REQUESTS=200000` for a night. */
const REQUESTS = Number(process.env["FUZZ_REQUESTS"] ?? 20_000);
/** At once; on Lambda an instance has one, which only its log lines rely on. */
const AT_ONCE = 8;

let service: WildService;

beforeAll(async () => {
  service = await startWildService();
});
afterAll(() => service.close());

test(
  `${REQUESTS} requests to the functions`,
  async () => {
    const { functions, known, judge } = service;
    const statuses: Record<string, number> = {};
    let address = 0;
    const ask = async (request: WildRequest): Promise<void> => {
      address += 1;
      // Failed authentication is limited by address.
      const from = `10.${(address >> 16) & 255}.${(address >> 8) & 255}.${address & 255}`;
      const seen = await watched(() => functions.ask({ ...request, from }));
      statuses[seen.status] = (statuses[seen.status] ?? 0) + 1;
      judge(request, seen);
    };
    const batch = fc.array(wildRequests(known), { minLength: AT_ONCE, maxLength: AT_ONCE });
    await fc.assert(
      fc.asyncProperty(batch, async (requests) => {
        await Promise.all(requests.map(ask));
        checkOutput();
      }),
      { numRuns: REQUESTS / AT_ONCE },
    );
    expect({}).not.toHaveProperty("polluted");
    // The generator reaches into everything, turns above all.
    for (const status of [200, 201, 204, 400, 401, 404, 409]) {
      expect(statuses[status]).toBeGreaterThan(Math.min(20, REQUESTS / 1_000));
    }
  },
  30 * REQUESTS,
);

/** Every line is JSON, and says nothing of keys and messages. */
function checkOutput(): void {
  for (const line of service.functions.output.splice(0)) {
    if (parseJson(line) === undefined) throw new Error(`a log line that is not JSON: ${line}`);
    const found = service.notForTheLog.find((text) => line.includes(text));
    if (found !== undefined) throw new Error(`${found} is in the log: ${line}`);
  }
}
