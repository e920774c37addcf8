/**
 * All that differs between stages is in this file. `production` is kept: nothing of it is removed by accident. Every other
 * stage is somebody's to try things in, and `npx sst remove` leaves nothing of it.
 */
export type Stage = {
  removal: "retain" | "remove";
  protect: boolean;
  /** Of the table: it cannot be deleted, and can be restored to any second of the last 35 days. */
  protectData: boolean;
  logRetention: "1 week" | "3 months";
  /** Requests a second, and at once, that API Gateway lets through for all clients together. */
  throttle: { rate: number; burst: number };
  /** Telegram messages answered at the same time: what the model's rate limits and your budget allow. */
  telegramWorkers: number;
  /** X-Ray traces: the first request of each second and 5 % of the others. */
  tracing: boolean;
  /** The functions' settings that are no secrets, by the names that .env.example explains. Absent: its defaults. */
  settings: Readonly<Record<string, string>>;
};

const development: Stage = {
  removal: "remove",
  protect: false,
  protectData: false,
  logRetention: "1 week",
  throttle: { rate: 50, burst: 100 },
  telegramWorkers: 5,
  tracing: true,
  settings: {},
};

const production: Stage = {
  removal: "retain",
  protect: true,
  protectData: true,
  logRetention: "3 months",
  throttle: { rate: 200, burst: 400 },
  telegramWorkers: 20,
  tracing: true,
  settings: {},
};

export const stageOf = (name: string): Stage => (name === "production" ? production : development);
