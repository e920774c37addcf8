import type { Clock } from "./clock.ts";
import type { Chat } from "./types.ts";

/** A chat takes this many messages at once before it insists on one a second. */
const CHAT_BURST = 5;
const GROUP_PER_MINUTE = 20;
const OVERALL_PER_SECOND = 30;

/** How fast one bot may send. Telegram publishes the rates but not the bursts; these are tolerant ones. */
export type RateLimits = {
  enabled: boolean;
  /** 0 counts a message as sent; above 0, the whole seconds to wait. */
  take(chat: Chat): number;
};

type Limit = {
  /** Seconds until there is room. */
  wait(now: number): number;
  count(now: number): void;
};

export function createRateLimits(clock: Clock, enabled: boolean): RateLimits {
  const overall = slidingWindow(OVERALL_PER_SECOND, 1);
  const ofChat = new Map<number, Limit[]>();

  function limitsOf(chat: Chat): Limit[] {
    const known = ofChat.get(chat.id);
    if (known !== undefined) return known;
    const group = chat.type === "private" ? [] : [slidingWindow(GROUP_PER_MINUTE, 60)];
    const limits = [overall, bucket(CHAT_BURST), ...group];
    ofChat.set(chat.id, limits);
    return limits;
  }

  return {
    enabled,
    take(chat) {
      if (!this.enabled) return 0;
      const now = clock.elapsed();
      const limits = limitsOf(chat);
      const wait = Math.max(...limits.map((limit) => limit.wait(now)));
      if (wait > 0) return Math.ceil(wait);
      for (const limit of limits) limit.count(now);
      return 0;
    },
  };
}

function slidingWindow(size: number, seconds: number): Limit {
  let times: number[] = [];
  return {
    wait(now) {
      times = times.filter((time) => time > now - seconds);
      return times.length < size ? 0 : (times[0] ?? now) + seconds - now;
    },
    count: (now) => void times.push(now),
  };
}

/** Refilled by one a second. */
function bucket(capacity: number): Limit {
  let tokens = capacity;
  let at = 0;
  const refilled = (now: number) => Math.min(capacity, tokens + now - at);
  return {
    wait: (now) => Math.max(0, 1 - refilled(now)),
    count(now) {
      tokens = refilled(now) - 1;
      at = now;
    },
  };
}
