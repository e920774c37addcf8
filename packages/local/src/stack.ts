import type { Route } from "@parley/functions/api/routes";
import { routes as apiRoutes } from "@parley/functions/api/routes";
import type { Settings } from "./env.ts";
import type { Gateway, GatewayLog } from "./gateway/server.ts";
import { startGateway } from "./gateway/server.ts";
import type { Part, PartSummary } from "./part.ts";
import { closeParts, startParts } from "./parts.ts";
import type { TelegramOptions, TelegramStack } from "./telegram-stack.ts";

export type StackOptions = {
  /** What they configure is used; what they do not is started here. */
  env: Settings;
  /** Folder for what outlives the process; made when missing. */
  dataDir: string;
  /** The gateway's port; default a free one. */
  port?: number;
  routes?: readonly Route[];
  /** Whether bots are answered too; default false. `queueTimeScale` as the queue's own. */
  telegram?: boolean | { queueTimeScale: number };
  log?: (entry: GatewayLog) => void;
};

export type Stack = {
  /** The API's address. */
  url: string;
  summary: PartSummary[];
  gateway: Pick<Gateway, "warm">;
  /** Fresh functions, and if given fresh routes, from now on; what is under way finishes as it is. */
  reload(routes?: readonly Route[]): void;
  /** The local Bot API, where there is one. */
  botApiUrl: string | undefined;
  /** The functions' environment. */
  env: Settings;
  /** Milliseconds from the call until everything listened. */
  startedInMs: number;
  /** Ends whatever runs, at once. */
  close(): Promise<void>;
};

const FUNCTIONS = new URL("../../functions/src/", import.meta.url);

/**
 * Everything that the handlers need, on 127.0.0.1, and the gateway in front of them. Rejects with one readable line
 * when a part cannot start, and with EADDRINUSE when the port is taken, after closing what did start.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const startedAt = performance.now();
  const parts = await startParts(options.env, options.dataDir);
  const opened: { close(): Promise<void> }[] = [{ close: () => closeParts(parts) }];
  // The last first: nothing loses what it stands on.
  const close = async () => {
    for (const { close } of opened.toReversed()) await close();
  };
  try {
    const { routes = apiRoutes, port = 0, log = () => {} } = options;
    const telegram = options.telegram
      ? await telegramOf(options.env, options.telegram === true ? undefined : options.telegram)
      : undefined;
    if (telegram) parts.push(...telegram.parts);
    const env = functionEnv(options.env, parts);
    const gateway = await startGateway({ routes, taskRoot: FUNCTIONS, env, port, log });
    opened.push(gateway);
    const workers = await telegram?.connect({ gatewayUrl: gateway.url, taskRoot: FUNCTIONS, env, log });
    if (workers) opened.push(workers);
    const key = env["AUTH_MODE"] === "none" ? "no key asked" : "asks for a key of API_KEYS";
    const api: PartSummary = { part: "API", kind: "local", what: `${gateway.url}, ${key}` };
    return {
      url: gateway.url,
      summary: [...parts.map(({ summary }) => summary), api],
      gateway,
      reload(newRoutes) {
        gateway.reload(newRoutes);
        workers?.recycle();
      },
      botApiUrl: telegram?.botApiUrl,
      env,
      startedInMs: performance.now() - startedAt,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Loaded where it is asked for: a question on the command line does not wait for it. */
async function telegramOf(settings: Settings, options?: TelegramOptions): Promise<TelegramStack> {
  const { startTelegram } = await import("./telegram-stack.ts");
  return startTelegram(settings, options);
}

function functionEnv(settings: Settings, parts: readonly Part[]): Settings {
  const env: Record<string, string | undefined> = {
    POWERTOOLS_SERVICE_NAME: "parley",
    // Tracing is work for nobody unless a daemon is named to receive it.
    POWERTOOLS_TRACE_ENABLED: settings["AWS_XRAY_DAEMON_ADDRESS"] === undefined ? "false" : undefined,
    ...settings,
    // Only this machine can reach the gateway, and no keys being configured is otherwise a refusal to start.
    ...(settings["API_KEYS"] === undefined ? { AUTH_MODE: "none" } : {}),
  };
  for (const part of parts) Object.assign(env, part.env);
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
