import type { Clock } from "./clock.ts";
import { type Answer, createCourier } from "./deliver.ts";
import { type Params, readParams } from "./params.ts";
import type { QueuedUpdate, UpdateQueue } from "./update-queue.ts";

const READ_TIMEOUT_SECONDS = 60;
/** However fast time runs, the webhook itself does not. */
const MIN_READ_TIMEOUT_MS = 1_000;
const MAX_RETRY_AFTER_SECONDS = 60 * 60;
/** The longest wait before a retry is this to twice this. */
const MAX_RESEND_SECONDS = 60;
/** Telegram does not execute these when they come as the answer to an update. */
const NOT_AS_ANSWER = /^(?:get.*|deletewebhook|setwebhook|close|logout)$/i;

export type WebhookOptions = {
  url: string;
  /** Empty: no header. */
  secretToken: string;
  maxConnections: number;
  queue: UpdateQueue;
  clock: Clock;
  /** Executes a method that came as the answer to an update. What becomes of it nobody learns. */
  execute(method: string, params: Params): void;
  onAttempt(outcome: { update: QueuedUpdate; attempt: number; error: string | undefined }): void;
};

export type Webhook = {
  url: string;
  secretToken: string;
  maxConnections: number;
  /** How many deliveries are under way. */
  inFlight(): number;
  /** Delivers once more, apart from the lanes and without retrying. */
  redeliver(body: string): Promise<void>;
  /** Breaks off deliveries under way; their updates stay in the queue. */
  close(): void;
};

type Lane = { updates: QueuedUpdate[]; fails: number; delay: number };

/**
 * Delivers a queue as Telegram's `WebhookActor` does. The updates of a lane go one after another, the next only after
 * a 2xx; lanes go in parallel up to `maxConnections`, and a retry takes its turn among them. An update that failed is
 * sent again at once, then after 2, 4, 8... seconds up to a random 60 to 120, or after the answer's `Retry-After` up
 * to an hour, until that would be past its expiry. No answer within 60 s is a failure; within a real second it never is.
 */
export function startWebhook(options: WebhookOptions): Webhook {
  const { url, secretToken, maxConnections, queue, clock } = options;
  const readTimeoutMs = Math.max(clock.realMs(READ_TIMEOUT_SECONDS), MIN_READ_TIMEOUT_MS);
  const courier = createCourier(url, secretToken, maxConnections);
  const lanes = new Map<string, Lane>();
  const ready: string[] = [];
  const waits = new Set<() => void>();
  let inFlight = 0;
  let closed = false;

  function accept(update: QueuedUpdate): void {
    const lane = lanes.get(update.lane);
    if (lane !== undefined) {
      lane.updates.push(update);
      return;
    }
    lanes.set(update.lane, { updates: [update], fails: 0, delay: 1 });
    ready.push(update.lane);
    // Once whoever pushed the update has finished what it is about.
    setImmediate(pump);
  }

  function pump(): void {
    while (!closed && inFlight < maxConnections) {
      const name = ready.shift();
      const lane = name === undefined ? undefined : lanes.get(name);
      if (name === undefined || lane === undefined) return;
      inFlight += 1;
      void deliver(name, lane).finally(() => {
        inFlight -= 1;
        pump();
      });
    }
  }

  async function deliver(name: string, lane: Lane): Promise<void> {
    const update = lane.updates[0];
    // Dropped with drop_pending_updates, or handed out by getUpdates before the webhook was set.
    if (update === undefined || !queue.has(update.id)) return advance(name, lane);
    const { error, retryAfter } = await attempt(update.body);
    if (closed) return;
    options.onAttempt({ update, attempt: lane.fails + 1, error });
    if (error === undefined) {
      queue.forget(update.id);
      advance(name, lane);
    } else {
      postpone(name, lane, update, retryAfter);
    }
  }

  async function attempt(body: string): Promise<{ error: string | undefined; retryAfter: number }> {
    try {
      const answer = await courier.post(body, readTimeoutMs);
      const { status, reason, retryAfter } = answer;
      if (status < 200 || status > 299) {
        return { error: `Wrong response from the webhook: ${status} ${reason}`, retryAfter };
      }
      if (!closed) await executeAnswer(answer);
      return { error: undefined, retryAfter: 0 };
    } catch (error) {
      return { error: (error as Error).message, retryAfter: 0 };
    }
  }

  async function executeAnswer({ contentType, body }: Answer): Promise<void> {
    const params = await readParams(new URLSearchParams(), contentType, body);
    const method = params.text("method");
    if (method !== "" && !NOT_AS_ANSWER.test(method)) options.execute(method, params);
  }

  function advance(name: string, lane: Lane): void {
    lane.updates.shift();
    lane.fails = 0;
    lane.delay = 1;
    if (lane.updates.length === 0) lanes.delete(name);
    else ready.push(name);
  }

  function postpone(name: string, lane: Lane, update: QueuedUpdate, retryAfter: number): void {
    let wait = Math.min(Math.max(retryAfter, 0), MAX_RETRY_AFTER_SECONDS);
    if (wait === 0 && lane.fails > 0) {
      lane.delay = Math.min(lane.delay * 2, MAX_RESEND_SECONDS * (1 + Math.random()));
      wait = lane.delay;
    }
    if (clock.elapsed() + wait > update.expiresAt) {
      queue.expire(update.id);
      advance(name, lane);
      return;
    }
    lane.fails += 1;
    if (wait === 0) ready.push(name);
    else waitFor(wait, name);
  }

  function waitFor(seconds: number, name: string): void {
    const cancel = clock.after(seconds, () => {
      waits.delete(cancel);
      ready.push(name);
      pump();
    });
    waits.add(cancel);
  }

  const stopListening = queue.onPush(accept);
  for (const update of queue.pending()) accept(update);

  return {
    url,
    secretToken,
    maxConnections,
    inFlight: () => inFlight,
    redeliver: async (body) => void (await attempt(body)),
    close() {
      closed = true;
      stopListening();
      for (const cancel of waits) cancel();
      courier.close();
    },
  };
}
