import type { Redis } from "@upstash/redis";

/** Tokens, and US dollars in billionths: whole numbers, so that sums are exact. */
export type Amount = { tokens: number; nanoUsd: number };
/** What a day may cost; what is absent has no limit. */
export type Limit = { readonly [Unit in keyof Amount]?: number | undefined };
export type Account = { key: string; limit: Limit };

export type Grant =
  | { granted: true }
  | {
      granted: false;
      /** Which of the accounts has too little. */
      account: number;
      /** It is used up for the day; otherwise what is left is reserved by calls under way. */
      spent: boolean;
      /** Milliseconds since the epoch, and from now. */
      resetsAt: number;
      resetsInMs: number;
    };

/*
 * A hash for each account: the day that it counts, what was spent in it, and what is held by calls under way, each of them
 * with its amount. One script, so that all accounts of a call are charged or none, and Redis's own clock, so that
 * instances agree on when a day ends.
 *
 *   reserve --below every limit--> held --settle--> spent      held --holders' time over--> spent, whole
 *
 * Races it answers: of any number of calls at once one at the most passes a limit, for what is held counts; a repeated command
 * (its reply was lost) finds its own reservation, or none to settle, and changes nothing; who dies between the two has
 * spent what he held, for nobody knows what his call cost; a call that is settled after midnight is yesterday's.
 */
const SCRIPT = `
local op, call = ARGV[1], 'call:' .. ARGV[2]
local tokens, cost, lease = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local DAY = 86400000
local today = math.floor(now / DAY)
local resets = (today + 1) * DAY

local function text(n) return string.format('%.0f', n) end
local function add(key, field, n) if n ~= 0 then redis.call('HINCRBY', key, field, text(n)) end end
local function amounts(value) return tonumber(value:match('^%d+')), tonumber(value:match('%d+$')) end

if op == 'settle' then
  for _, key in ipairs(KEYS) do
    local held = redis.call('HGET', key, call)
    if held then
      local held_tokens, held_cost = amounts(held)
      redis.call('HDEL', key, call)
      add(key, 'held_tokens', -held_tokens)
      add(key, 'held_cost', -held_cost)
      add(key, 'tokens', tokens)
      add(key, 'cost', cost)
    end
  end
  return {}
end

if redis.call('HEXISTS', KEYS[1], call) == 1 then return {} end

local function account(key)
  local h = redis.call('HMGET', key, 'day', 'tokens', 'cost', 'held_tokens', 'held_cost', 'held_until')
  local a = {}
  for i, value in ipairs(h) do a[i] = tonumber(value or '0') end
  if a[1] ~= today then
    redis.call('DEL', key)
    return {today, 0, 0, 0, 0, 0}
  end
  if now < a[6] or (a[4] == 0 and a[5] == 0) then return a end
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if field:sub(1, 5) == 'call:' then redis.call('HDEL', key, field) end
  end
  add(key, 'tokens', a[4])
  add(key, 'cost', a[5])
  redis.call('HSET', key, 'held_tokens', '0', 'held_cost', '0')
  return {today, a[2] + a[4], a[3] + a[5], 0, 0, 0}
end

local accounts, full, spent = {}, 0, 0
for i, key in ipairs(KEYS) do
  local a = account(key)
  accounts[i] = a
  local max_tokens, max_cost = tonumber(ARGV[4 + 2 * i]) or math.huge, tonumber(ARGV[5 + 2 * i]) or math.huge
  if spent == 0 and (a[2] >= max_tokens or a[3] >= max_cost) then full, spent = i, 1 end
  if full == 0 and (a[2] + a[4] >= max_tokens or a[3] + a[5] >= max_cost) then full = i end
end
if full > 0 then return {text(full), text(spent), text(resets), text(resets - now)} end

for i, key in ipairs(KEYS) do
  redis.call('HSET', key, 'day', text(today), call, text(tokens) .. ' ' .. text(cost),
    'held_until', text(math.max(accounts[i][6], now + lease)))
  add(key, 'held_tokens', tokens)
  add(key, 'held_cost', cost)
  redis.call('PEXPIREAT', key, text(resets))
end
return {}
`;

/** What was spent today, in Redis; one request to reserve, one to settle. Both may be repeated under the same call's id. */
export class Ledger {
  readonly #script: { exec(keys: string[], args: string[]): Promise<string[]> };
  readonly #leaseMs: number;

  /** @param options `leaseMs`: longer than a call may take; who has not settled by then is taken for dead */
  constructor(options: { redis: Pick<Redis, "createScript">; leaseMs: number }) {
    this.#script = options.redis.createScript<string[]>(SCRIPT);
    this.#leaseMs = options.leaseMs;
  }

  /** Grants what begins below every account's limits, and holds it. @throws when Redis does not answer */
  async reserve(call: string, accounts: readonly Account[], amount: Amount): Promise<Grant> {
    const limits = accounts.flatMap(({ limit }) => [limit.tokens, limit.nanoUsd]);
    const [account, spent, resetsAt, resetsInMs] = await this.#run("reserve", call, accounts, amount, limits);
    if (account === undefined) return { granted: true };
    return {
      granted: false,
      account: Number(account) - 1,
      spent: spent === "1",
      resetsAt: Number(resetsAt),
      resetsInMs: Number(resetsInMs),
    };
  }

  /** Counts `amount` in place of what was reserved. @throws when Redis does not answer */
  async settle(call: string, accounts: readonly Account[], amount: Amount): Promise<void> {
    await this.#run("settle", call, accounts, amount, []);
  }

  #run(
    op: "reserve" | "settle",
    call: string,
    accounts: readonly Account[],
    { tokens, nanoUsd }: Amount,
    limits: readonly (number | undefined)[],
  ): Promise<string[]> {
    const args = [op, call, tokens, nanoUsd, this.#leaseMs, ...limits.map((limit) => limit ?? "")].map(
      String,
    );
    return this.#script.exec(
      accounts.map(({ key }) => key),
      args,
    );
  }
}
