import { AppError } from "@parley/core/error";
import { texts } from "@parley/core/telegram/texts";
import { type IncomingUpdate, type Place, parseUpdate, triage } from "@parley/core/telegram/update";
import { traceHeader } from "../environment.ts";
import { depthOf } from "../http/body.ts";
import { chain } from "../http/chain.ts";
import type { ApiEvent, ApiResult } from "../http/event.ts";
import { requestIdOf } from "../http/request-id.ts";
import { logger, telemetry } from "../observability.ts";
import { receiver } from "./receiver.ts";
import { webhookSecret } from "./webhook-secret.ts";

/** Twice what Telegram sends, in bytes. */
const MAX_UPDATE_BYTES = 128 * 1024;
/** A message that replies to a message with all there can be in it is not half as deep. */
const MAX_DEPTH = 32;
/** Time kept back from Lambda's for the answer, in milliseconds. */
const MARGIN_MS = 1_000;

/**
 * `POST /telegram/{bot}`: takes an update over from Telegram into the queue and answers at once. Whatever is not worth
 * queueing is answered 200 as well, for Telegram would bring anything else again for 24 hours, and nothing else of that
 * chat meanwhile; 503 when the queue fails.
 */
export const handler = chain()
  .use(webhookSecret(() => receiver().settings))
  .handler(async (event, context): Promise<ApiResult> => {
    const { settings, queue, stop } = receiver();
    const bot = settings.bots.find(({ name }) => name === event.pathParameters?.["bot"]);
    if (!bot) throw new AppError("unauthenticated", "There is no such bot.");
    const update = readUpdate(event);
    if (!update) {
      telemetry.count("TelegramUpdates", 1, { action: "ignore" });
      logger.warn("an update could not be read");
      return answer();
    }
    const decision = triage(update, bot, settings.allowed);
    telemetry.count("TelegramUpdates", 1, { action: decision.action });
    switch (decision.action) {
      case "ignore":
        logger.info("an update was ignored", { update_id: update.update_id, reason: decision.reason });
        return answer();
      case "queue":
        await telemetry
          .step("queue send", () =>
            queue.send(
              {
                bot: bot.name,
                update,
                place: decision.place,
                requestId: requestIdOf(event, context),
                traceHeader: traceHeader(),
              },
              AbortSignal.timeout(Math.max(0, context.getRemainingTimeInMillis() - MARGIN_MS)),
            ),
          )
          .catch((cause: unknown) => {
            throw new AppError("unavailable", "The update could not be queued. Send it again.", { cause });
          });
        return decision.typing
          ? answer("sendChatAction", { ...target(decision.place), action: "typing" })
          : answer();
      case "stop": {
        // Handled here, for the place's queue is busy with what is to be stopped.
        const stopped = await stop(bot, decision.place, update.update_id);
        const text = stopped ? texts.stopped : texts.notStopped;
        return answer("sendMessage", { ...target(decision.place), text });
      }
      case "callback":
        return answer("answerCallbackQuery", { callback_query_id: decision.id });
    }
  });

function readUpdate({ body, isBase64Encoded }: ApiEvent): IncomingUpdate | undefined {
  if (typeof body !== "string") return undefined;
  const text = isBase64Encoded ? Buffer.from(body, "base64").toString("utf8") : body;
  if (Buffer.byteLength(text) > MAX_UPDATE_BYTES || depthOf(text) > MAX_DEPTH) return undefined;
  try {
    return parseUpdate(JSON.parse(text));
  } catch {
    return undefined;
  }
}

const target = ({ chat, thread }: Place) => ({
  chat_id: chat,
  ...(thread === undefined ? {} : { message_thread_id: thread }),
});

/** A method in the webhook's answer is executed by Telegram; what came of it is not told. */
const answer = (method?: string, parameters: Record<string, unknown> = {}): ApiResult => ({
  statusCode: 200,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(method === undefined ? {} : { method, ...parameters }),
});
