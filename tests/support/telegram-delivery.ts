import { createDynamoClient } from "@parley/core/conversation/dynamo-client";
import { tableDefinition } from "@parley/core/conversation/dynamo-table";
import type { MetricName } from "@parley/core/metrics";
import { Deadline } from "@parley/core/resilience/deadline";
import { TelegramClient } from "@parley/core/telegram/api";
import { Delivery } from "@parley/core/telegram/delivery";
import { DynamoOutbox } from "@parley/core/telegram/dynamo-outbox";
import type { Outbox, OutboxEntry } from "@parley/core/telegram/outbox";
import { ensureTable } from "@parley/local/dynamodb/ensure-table";
import { startDynamo } from "@parley/local/dynamodb/server";
import { localConfig } from "@parley/local/local-config";
import { startTestBotApi, TOKEN } from "./bot-api.ts";
import { ManualClock } from "./manual-clock.ts";
import { RecordingTelemetry } from "./telemetry.ts";

const TABLE = "conversations";

export type DeliveryRig = Awaited<ReturnType<typeof startDeliveryRig>>;
type Api = Pick<TelegramClient, "send">;

/** Deliveries from an outbox in DynamoDB to a local Bot API; nothing else of the product. */
export async function startDeliveryRig() {
  const [dynamo, botApi] = await Promise.all([startDynamo(), startTestBotApi()]);
  await ensureTable(dynamo.url, tableDefinition(TABLE));
  const client = createDynamoClient(localConfig(dynamo.url));
  const outbox = new DynamoOutbox({ client, table: TABLE, clock: new ManualClock() });
  const api = new TelegramClient({ token: TOKEN }, botApi.url);
  const { control } = botApi;

  /** One worker, with what stands between it and the outbox or the Bot API. */
  function worker(between: { outbox?: Partial<Outbox>; send?: Api["send"] } = {}) {
    const telemetry = new RecordingTelemetry();
    const ownOutbox: Outbox = {
      get: (...args) => outbox.get(...args),
      open: (...args) => outbox.open(...args),
      take: (...args) => outbox.take(...args),
      settle: (...args) => outbox.settle(...args),
      ...between.outbox,
    };
    const delivery = new Delivery({
      outbox: ownOutbox,
      api: { send: between.send ?? ((...args) => api.send(...args)) },
      telemetry,
    });
    return {
      telemetry,
      /** Each metric that was counted, and how often. */
      counted: () =>
        Object.fromEntries(
          [...new Set(telemetry.counts.map(({ metric }) => metric))].map((metric: MetricName) => [
            metric,
            telemetry.total(metric),
          ]),
        ),
      /** As the worker of an update does: opens the entry, or goes on with the one that stands. */
      async deliver(entry: OutboxEntry, deadline = new Deadline(20_000)) {
        const standing = await outbox.get(entry.id);
        if (standing) return delivery.deliver(standing, false, deadline);
        const opened = await outbox.open(entry);
        return delivery.deliver(opened.entry, opened.created, deadline);
      },
    };
  }

  return {
    control,
    outbox,
    api,
    worker,
    states: async (id: string) => (await outbox.get(id))?.parts.map(({ state }) => state),
    async privateChat(): Promise<number> {
      const { id } = await control.createUser();
      await control.createPrivateChat({ user: id });
      return id;
    },
    /** What the bot has said in a chat. */
    async said(chat: number) {
      const { messages } = await control.transcript({ chat });
      return messages.filter(({ from }) => from.is_bot);
    },
    async close() {
      client.destroy();
      await Promise.all([botApi.close(), dynamo.close()]);
    },
  };
}
