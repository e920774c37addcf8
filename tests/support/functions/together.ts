import { routes } from "@parley/functions/api/routes";
import { routeKeyOf } from "@parley/local/gateway/route-table";
import type { Context } from "aws-lambda";

type Handler = (event: unknown, context: Context) => Promise<unknown>;

const FUNCTIONS = new URL("../../../packages/functions/src/", import.meta.url);

/** The API's functions as one, for tests to which their cold starts are only a wait. */
export async function handler(event: { routeKey: string }, context: Context): Promise<unknown> {
  const route = routes.find((one) => routeKeyOf(one) === event.routeKey);
  if (!route) throw new Error(`there is no ${event.routeKey}`);
  const loaded = (await import(new URL(route.entry, FUNCTIONS).href)) as { handler: Handler };
  return loaded.handler(event, context);
}
