import { randomBytes, randomUUID } from "node:crypto";
import type { Instance } from "./instance.ts";
import { startInstance } from "./instance.ts";
import type { Outcome } from "./protocol.ts";

/** What happens inside a function, for whoever keeps its logs. `instance` counts from 1 within the function. */
export type FunctionLog = { functionName: string; instance: number } & (
  | { type: "output"; stream: "stdout" | "stderr"; line: string }
  | { type: "cold_start"; durationMs: number }
  | { type: "failure"; reason: "init" | "error" | "crash" | "timeout"; message: string }
);

export type PoolOptions = {
  functionName: string;
  /** file: URL of the handler's module. */
  module: string;
  env: Record<string, string>;
  timeoutMs: number;
  memoryMb: number;
  maxInstances: number;
  region: string;
  accountId: string;
  log: (entry: FunctionLog) => void;
};

/** `coldStartMs` is there when this was its instance's first invocation. */
export type Completion = { outcome: Outcome; coldStartMs?: number };

export type Pool = {
  /**
   * Runs the event (JSON) on an idle or new instance, else queues it. Aborting `signal` kills the instance that runs
   * it, wherever it is, and ends the invocation as a crash. Never rejects.
   */
  invoke(event: string, traceId: string, signal?: AbortSignal): Promise<Completion>;
  /** Starts one instance ahead of the first request. */
  warm(): void;
  /** Lets every instance finish what it does and end; later invocations load the module anew. */
  recycle(): void;
  close(): Promise<void>;
};

type Job = {
  event: string;
  traceId: string;
  resolve: (done: Completion) => void;
  timer: NodeJS.Timeout;
  /** Ends it where it is: in the queue, or on an instance. */
  kill: () => void;
};

const CLOSED = "the function is closed";
const KILLED = "killed";

type Member = {
  instance: Instance;
  number: number;
  state: "starting" | "idle" | "busy";
  retired: boolean;
  coldStartMs: number | undefined;
};

/** The instances of one function: each runs one invocation at a time, idle ones are reused, the rest wait in a queue. */
export function createPool(options: PoolOptions): Pool {
  const { functionName, timeoutMs, log } = options;
  const queue: Job[] = [];
  const members = new Set<Member>();
  let started = 0;
  let closed = false;

  function withState(state: Member["state"]): Member[] {
    return [...members].filter((member) => member.state === state && !member.retired);
  }

  function nextJob(): Job | undefined {
    const job = queue.shift();
    if (job !== undefined) clearTimeout(job.timer);
    return job;
  }

  function spawn(): void {
    started += 1;
    const number = started;
    const logStream = `${new Date().toISOString().slice(0, 10).replaceAll("-", "/")}/[$LATEST]${randomBytes(16).toString("hex")}`;
    const instance = startInstance({
      data: {
        module: options.module,
        functionName,
        memoryMb: options.memoryMb,
        functionArn: `arn:aws:lambda:${options.region}:${options.accountId}:function:${functionName}`,
        logGroup: `/aws/lambda/${functionName}`,
        logStream,
      },
      env: { ...options.env, AWS_LAMBDA_LOG_STREAM_NAME: logStream },
      timeoutMs,
      onOutput: (stream, line) => log({ type: "output", functionName, instance: number, stream, line }),
    });
    const member: Member = { instance, number, state: "starting", retired: false, coldStartMs: undefined };
    members.add(member);
    void attend(member);
  }

  /** Follows one instance from its start to its end. */
  async function attend(member: Member): Promise<void> {
    try {
      member.coldStartMs = await member.instance.ready;
      log({ type: "cold_start", functionName, instance: member.number, durationMs: member.coldStartMs });
      member.state = "idle";
    } catch (error) {
      if (!member.retired) failStart(member, error instanceof Error ? error.message : String(error));
      member.retired = true;
    }
    dispatch();
    await member.instance.exited;
    members.delete(member);
    dispatch();
  }

  /** An instance is started for a waiting job; one that cannot start costs one job, or a broken module would spin. */
  function failStart(member: Member, message: string): void {
    if (closed) return;
    log({ type: "failure", reason: "init", functionName, instance: member.number, message });
    nextJob()?.resolve({ outcome: { kind: "crash", message } });
  }

  function dispatch(): void {
    if (closed) return;
    for (const member of withState("idle").reverse()) {
      const job = nextJob();
      if (job === undefined) return;
      void run(member, job);
    }
    while (withState("starting").length < queue.length && members.size < options.maxInstances) spawn();
  }

  async function run(member: Member, job: Job): Promise<void> {
    member.state = "busy";
    const { coldStartMs } = member;
    member.coldStartMs = undefined;
    const { event, traceId } = job;
    job.kill = () => void member.instance.close(KILLED);
    const outcome = await member.instance.invoke({ event, traceId, awsRequestId: randomUUID() });
    job.kill = () => {};
    job.resolve({ outcome, ...(coldStartMs === undefined ? {} : { coldStartMs }) });
    if (outcome.kind !== "result" && !closed) {
      const message = describeFailure(outcome, timeoutMs);
      log({ type: "failure", reason: outcome.kind, functionName, instance: member.number, message });
    }
    if (outcome.kind === "crash" || outcome.kind === "timeout") member.retired = true;
    else if (member.retired) void member.instance.close();
    else member.state = "idle";
    dispatch();
  }

  function enqueue(event: string, traceId: string, signal?: AbortSignal): Promise<Completion> {
    const { promise, resolve } = Promise.withResolvers<Completion>();
    if (closed) return Promise.resolve({ outcome: { kind: "crash", message: CLOSED } });
    if (signal?.aborted) return Promise.resolve({ outcome: { kind: "crash", message: KILLED } });
    function leaveQueue(outcome: Outcome): void {
      const at = queue.indexOf(job);
      if (at === -1) return;
      queue.splice(at, 1);
      clearTimeout(job.timer);
      resolve({ outcome });
    }
    const job: Job = {
      event,
      traceId,
      resolve,
      // API Gateway gives up on the whole integration after its timeout, whether or not the function has begun.
      timer: setTimeout(() => leaveQueue({ kind: "timeout" }), timeoutMs),
      kill: () => leaveQueue({ kind: "crash", message: KILLED }),
    };
    signal?.addEventListener("abort", () => job.kill(), { once: true });
    queue.push(job);
    dispatch();
    return promise;
  }

  return {
    invoke: enqueue,
    warm() {
      if (!closed && members.size === 0) spawn();
    },
    recycle() {
      for (const member of members) {
        member.retired = true;
        if (member.state !== "busy") void member.instance.close();
      }
    },
    async close() {
      closed = true;
      for (let job = nextJob(); job !== undefined; job = nextJob()) {
        job.resolve({ outcome: { kind: "crash", message: CLOSED } });
      }
      await Promise.all([...members].map((member) => member.instance.close()));
    },
  };
}

/** What ended an invocation without a result, for logs and errors. */
export function describeFailure(outcome: Exclude<Outcome, { kind: "result" }>, timeoutMs?: number): string {
  if (outcome.kind === "timeout")
    return `timed out${timeoutMs === undefined ? "" : ` after ${timeoutMs} ms`}`;
  if (outcome.kind === "crash") return outcome.message;
  return outcome.error.trace.join("\n") || `${outcome.error.errorType}: ${outcome.error.errorMessage}`;
}
