import { DEFAULT_MODEL } from "@parley/core/budget/price";
import { priceOf } from "@parley/core/budget/prices";
import { routes } from "@parley/functions/api/routes";
import { type Deployment, namespaceOf } from "../../infra/metrics.ts";

const FUNCTIONS = [...new Set(routes.map(({ name }) => name)), "telegram-worker"];

/** A deployment as dashboard and alarms are told of it. */
export const DEPLOYMENT: Deployment = {
  stage: "test",
  region: "eu-central-1",
  namespace: namespaceOf("test"),
  apiId: "a1b2c3",
  functions: Object.fromEntries(FUNCTIONS.map((name) => [name, `parley-test-${name}`])),
  table: "parley-test-table",
  queue: "parley-test-updates.fifo",
  deadLetterQueue: "parley-test-dead.fifo",
  model: DEFAULT_MODEL,
  price: priceOf(DEFAULT_MODEL),
};
