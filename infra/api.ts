import { type Route, routes } from "../packages/functions/src/api/routes.ts";
import { extraFiles, SWAGGER_UI_DIR } from "./bundle.ts";
import { lambda, type Needs } from "./functions.ts";
import { pascal } from "./names.ts";
import { redis } from "./redis.ts";
import { answering, apiKeys, telegramBots, telegramWebhookSecret } from "./secrets.ts";
import { stageOf } from "./stages.ts";
import { mayAnswer, mayErase, mayList, mayPing, mayRead, store, storeSettings } from "./storage.ts";
import { maySend, updates } from "./telegram.ts";

const { throttle } = stageOf($app.stage);

/** API Gateway waits 30 seconds and no longer. */
const ANSWERED_WITHIN = "29 seconds" as const;

const edge = {
  link: [...store, ...redis, apiKeys],
  environment: storeSettings,
  timeout: ANSWERED_WITHIN,
} satisfies Needs;
const turn: Needs = { ...edge, link: [...edge.link, ...answering], permissions: mayAnswer };

/** What each function is given, by the name that routes.ts has for it: nothing that it does not use. */
const needs: Readonly<Record<string, Needs>> = {
  "start-conversation": turn,
  "continue-conversation": turn,
  "list-conversations": { ...edge, permissions: mayList },
  "describe-conversation": { ...edge, permissions: mayRead },
  "export-conversation": { ...edge, permissions: mayRead },
  "delete-conversation": { ...edge, permissions: mayErase },
  "telegram-webhook": {
    link: [updates, ...redis, telegramBots, telegramWebhookSecret],
    permissions: maySend,
  },
  health: { link: [...store, ...redis], environment: storeSettings, permissions: mayPing },
  // On a laptop the package is there, and its files are not copied.
  docs: { environment: $dev ? {} : { SWAGGER_UI_DIR } },
  fallback: {},
};

export const api = new sst.aws.ApiGatewayV2("Api", {
  // The functions answer for themselves: closed, unless CORS_ORIGINS names an origin.
  cors: false,
  transform: {
    stage: {
      // Its metrics by route would cost more than all else that is watched; ours are by operation.
      defaultRouteSettings: {
        throttlingRateLimit: throttle.rate,
        throttlingBurstLimit: throttle.burst,
        detailedMetricsEnabled: false,
      },
    },
  },
});

/** By the name in routes.ts. */
export const functions = new Map<string, sst.aws.Function>();

for (const { method, path, name, entry } of routes) {
  const given = needs[name];
  if (!given) throw new Error(`${path}: infra/api.ts does not say what ${name} needs`);
  const fn = functions.get(name) ?? lambda(pascal(name), entry, { files: extraFiles[name] ?? [], ...given });
  functions.set(name, fn);
  api.route(path === "$default" ? path : `${method} ${path}`, fn.arn, { name: routeName({ method, path }) });
}

/** `POST /v1/conversations/{id}/messages` is PostV1ConversationsIdMessages. */
function routeName({ method, path }: Pick<Route, "method" | "path">): string {
  if (path === "$default") return "Default";
  return pascal([method.toLowerCase(), ...path.split(/\W+/).filter(Boolean)].join("-"));
}
