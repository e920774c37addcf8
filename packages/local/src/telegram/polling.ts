import { conflict } from "./api-error.ts";
import type { Clock } from "./clock.ts";
import type { Params } from "./params.ts";
import type { Update } from "./types.ts";
import type { UpdateQueue } from "./update-queue.ts";

const MAX_WAIT_SECONDS = 50;

export type Polling = {
  /** `getUpdates`, long polling included. Rejects with 409 when another call takes over or a webhook is set. */
  poll(params: Params): Promise<Update[]>;
  /** A webhook has been set: whoever is waiting is told so. */
  interrupt(): void;
};

export function createPolling(queue: UpdateQueue, clock: Clock): Polling {
  let abort: ((reason: string) => void) | undefined;

  function take(offset: number, limit: number): Update[] {
    const pending = queue.pending();
    const from = offset < 0 ? (pending.at(offset)?.id ?? 0) : offset;
    for (const { id } of pending) if (id < from) queue.forget(id);
    return pending
      .filter(({ id }) => id >= from)
      .slice(0, limit)
      .map(({ body }) => JSON.parse(body) as Update);
  }

  /** Until there is an update or the time is up. */
  function wait(seconds: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = () => {
        stopWaiting();
        stopListening();
        abort = undefined;
      };
      const done = () => {
        finish();
        resolve();
      };
      const stopWaiting = clock.after(seconds, done);
      const stopListening = queue.onPush(done);
      abort = (reason) => {
        finish();
        reject(conflict(reason));
      };
    });
  }

  return {
    async poll(params) {
      const offset = params.integer("offset");
      const limit = params.integer("limit", { absent: 100, min: 1, max: 100 });
      const timeout = params.integer("timeout", { min: 0, max: MAX_WAIT_SECONDS });
      abort?.("terminated by other getUpdates request; make sure that only one bot instance is running");
      const updates = take(offset, limit);
      if (updates.length > 0 || timeout === 0) return updates;
      await wait(timeout);
      return take(offset, limit);
    },
    interrupt: () => abort?.("terminated by setWebhook request"),
  };
}
