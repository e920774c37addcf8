import type { Redis } from "@upstash/redis";
import type { Admission, CircuitState, CircuitStore, Outcome } from "../resilience/circuit-breaker.ts";

export type CircuitSettings = {
  /** Failures within the window that open the circuit. */
  maxFailures: number;
  windowMs: number;
  /** How long it stays open before one probe is let through. */
  cooldownMs: number;
  /** How long a probe may take before another is let through; longer than the guarded call's own time limit. */
  leaseMs: number;
};

/*
 * One script, so that every transition is atomic, and Redis's own clock, so that instances need not agree on the time.
 *
 *   closed --maxFailures within the window--> open --cooldown over, first to ask--> half_open (one probe)
 *   half_open --probe ok--> closed     half_open --probe failed--> open     half_open --lease over--> another probe
 *
 * Races it answers: two failures at once are both counted (a zset by attempt, not a read and a write); a herd at the
 * end of the cooldown gets one probe; a slow success from before the opening does not close it (its generation is
 * old); a repeated command (its reply was lost) is granted or ignored, never counted twice.
 */
const SCRIPT = `
local state, failures = KEYS[1], KEYS[2]
local op, attempt, generation, outcome = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local max, window, cooldown, lease, ttl =
  tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local h = redis.call('HMGET', state, 'state', 'generation', 'until', 'probe')
local current, gen, till, probe = h[1] or 'closed', tonumber(h[2] or '0'), tonumber(h[3] or '0'), h[4]

local function become(next_state, next_till, next_probe)
  redis.call('HSET', state, 'state', next_state, 'generation', string.format('%.0f', gen + 1),
    'until', string.format('%.0f', next_till), 'probe', next_probe)
  redis.call('PEXPIRE', state, ttl)
  redis.call('DEL', failures)
  return next_state
end

if op == 'acquire' then
  if current == 'closed' then return {'closed', string.format('%.0f', gen)} end
  if current == 'half_open' and probe == attempt then return {'half_open', string.format('%.0f', gen)} end
  if now < till then return {'refused', string.format('%.0f', till - now), current} end
  become('half_open', now + lease, attempt)
  return {'half_open', string.format('%.0f', gen + 1)}
end

if string.format('%.0f', gen) ~= generation then return {} end
if current == 'closed' and outcome == 'failure' then
  redis.call('ZREMRANGEBYSCORE', failures, '-inf', string.format('%.0f', now - window))
  redis.call('ZADD', failures, string.format('%.0f', now), attempt)
  redis.call('PEXPIRE', failures, ttl)
  if redis.call('ZCARD', failures) >= max then return {become('open', now + cooldown, '')} end
elseif current == 'half_open' and probe == attempt then
  if outcome == 'ok' then return {become('closed', 0, '')} end
  if outcome == 'failure' then return {become('open', now + cooldown, '')} end
  redis.call('HSET', state, 'until', '0', 'probe', '')
end
return {}
`;

/** Breaker state in Redis under one hash tag; one request per transition. */
export class RedisCircuitStore implements CircuitStore {
  readonly #script: { exec(keys: string[], args: string[]): Promise<string[]> };
  readonly #keys: [string, string];
  readonly #settings: CircuitSettings;

  constructor(options: { redis: Pick<Redis, "createScript">; name: string; settings: CircuitSettings }) {
    this.#script = options.redis.createScript<string[]>(SCRIPT);
    this.#keys = [`breaker:{${options.name}}:state`, `breaker:{${options.name}}:failures`];
    this.#settings = options.settings;
  }

  async acquire(attempt: string): Promise<Admission> {
    const [state, value, current] = await this.#run("acquire", attempt, "", "");
    if (state === "refused") {
      return { allowed: false, state: current as "open" | "half_open", retryAfterMs: Number(value) };
    }
    return { allowed: true, state: state as "closed" | "half_open", generation: String(value) };
  }

  async settle(attempt: string, generation: string, outcome: Outcome): Promise<CircuitState | undefined> {
    const [state] = await this.#run("settle", attempt, generation, outcome);
    return state as CircuitState | undefined;
  }

  #run(op: string, attempt: string, generation: string, outcome: string) {
    const { maxFailures, windowMs, cooldownMs, leaseMs } = this.#settings;
    // Far longer than any request, so that a key that expires is one that nobody is using.
    const ttlMs = 10 * (windowMs + cooldownMs + leaseMs);
    const args = [op, attempt, generation, outcome, maxFailures, windowMs, cooldownMs, leaseMs, ttlMs].map(
      String,
    );
    return this.#script.exec(this.#keys, args);
  }
}
