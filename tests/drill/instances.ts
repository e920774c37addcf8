import { type ChildProcess, fork } from "node:child_process";
import { mkdir, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { quietEnvironment } from "../support/process.ts";
import type { Order, Word } from "./instance.ts";

const PROGRAM = fileURLToPath(new URL("instance.ts", import.meta.url));

/** How an invocation ended; `disturbed`: its instance was killed, stopped or had its clock moved meanwhile. */
export type Outcome = { instance: number; ms: number; disturbed: boolean } & (
  | { kind: "result"; result: unknown }
  | { kind: "error"; error: string }
  /** The process went. */
  | { kind: "crash" }
  /** The caller waits no longer, as API Gateway would not. */
  | { kind: "timeout" }
);
type End =
  | { kind: "result"; result: unknown }
  | { kind: "error"; error: string }
  | { kind: "crash" }
  | { kind: "timeout" };

export type Invocation = { entry: string; event: unknown; limitMs: number };
/** Of which function each instance of a group is, and how many invocations it serves at a time. */
export type Group = { size: number; entries: readonly string[]; atOnce: number };

type Member = {
  instance: number;
  group: Group;
  child: ChildProcess | undefined;
  ready: boolean;
  stopped: boolean;
  killed: boolean;
  aheadMs: number;
  running: Map<number, (end: End) => void>;
  /** By `performance.now()`; the last one may go on. */
  disturbances: { from: number; to: number }[];
};

export type Instances = Awaited<ReturnType<typeof startInstances>>;

/** A caller gives up so much later than the function should have answered: noise of a busy machine. */
export const GRACE_MS = 2_500;

/** The instances of every group, numbered on; one that dies is started anew at once. */
export async function startInstances(options: {
  groups: readonly Group[];
  /** file: URL of the product's root, ending in a slash. */
  product: string;
  logFolder: string;
  env: (instance: number) => Record<string, string>;
}) {
  await mkdir(options.logFolder, { recursive: true });
  const members: Member[] = options.groups
    .flatMap((group) => Array.from({ length: group.size }, () => group))
    .map((group, instance) => ({
      ...{ instance, group, child: undefined, ready: false, stopped: false, killed: false, aheadMs: 0 },
      ...{ running: new Map(), disturbances: [] },
    }));
  const logOf = (instance: number) => join(options.logFolder, `instance-${instance}.log`);
  const waiting = new Set<() => void>();
  let closing = false;
  let lastId = 0;
  let turn = 0;
  let starts = 0;

  const wake = () => {
    for (const each of waiting) each();
    waiting.clear();
  };

  async function start(member: Member): Promise<void> {
    const log = await open(logOf(member.instance), "a");
    if (closing) return log.close();
    starts += 1;
    const child = fork(PROGRAM, [], {
      execArgv: ["--disable-warning=ExperimentalWarning"],
      env: {
        ...quietEnvironment(),
        ...options.env(member.instance),
        DRILL_PRODUCT: options.product,
        DRILL_ENTRIES: member.group.entries.join(","),
      },
      stdio: ["ignore", log.fd, log.fd, "ipc"],
    });
    member.child = child;
    child.on("message", (word: Word) => {
      if ("ready" in word) {
        if (member.aheadMs !== 0) tell(member, { aheadMs: member.aheadMs });
        member.ready = true;
        return wake();
      }
      const end = member.running.get(word.id);
      end?.("error" in word ? { kind: "error", error: word.error } : { kind: "result", result: word.result });
    });
    child.once("exit", () => {
      void log.close();
      member.ready = false;
      member.stopped = false;
      if (member.killed) disturb(member, 0);
      member.killed = false;
      for (const end of [...member.running.values()]) end({ kind: "crash" });
      if (!closing) void start(member);
    });
  }

  // Whoever is killed in between is told by `exit`.
  const tell = (member: Member, order: Order) => member.child?.send(order, () => {});

  function disturb(member: Member, ms: number) {
    const from = performance.now();
    member.disturbances.push({ from, to: from + ms });
  }

  async function free(group: Group): Promise<Member> {
    for (;;) {
      const own = members.filter((member) => member.group === group && member.ready);
      const able = own.filter(({ running }) => running.size < group.atOnce);
      turn += 1;
      const next = able[turn % able.length];
      if (next) return next;
      await new Promise<void>((resolve) => waiting.add(resolve));
    }
  }

  async function run(member: Member, { entry, event, limitMs }: Invocation): Promise<Outcome> {
    const id = ++lastId;
    const startedAt = performance.now();
    const ended = Promise.withResolvers<End>();
    member.running.set(id, ended.resolve);
    const timer = setTimeout(() => ended.resolve({ kind: "timeout" }), limitMs + GRACE_MS);
    tell(member, { id, entry, event, limitMs });
    const end = await ended.promise;
    clearTimeout(timer);
    member.running.delete(id);
    wake();
    const endedAt = performance.now();
    const disturbed = member.disturbances.some(({ from, to }) => from <= endedAt && to >= startedAt);
    return { ...end, instance: member.instance, ms: endedAt - startedAt, disturbed };
  }

  await Promise.all(members.map(start));
  for (const group of options.groups) await free(group);

  return {
    count: members.length,
    started: () => starts,
    /** How many lines with that text the instances have logged. */
    async logged(text: string): Promise<number> {
      const logs = await Promise.all(members.map(({ instance }) => readFile(logOf(instance), "utf8")));
      return logs.reduce((sum, log) => sum + log.split(text).length - 1, 0);
    },
    async invoke(group: Group, invocation: Invocation): Promise<Outcome> {
      return run(await free(group), invocation);
    },
    kill(instance: number): void {
      const member = members[instance] as Member;
      member.killed = true;
      member.child?.kill("SIGKILL");
    },
    /** Stops the process, and lets it go on after so long. */
    pause(instance: number, ms: number): void {
      const member = members[instance] as Member;
      const { child } = member;
      if (member.stopped || !child) return;
      member.stopped = true;
      disturb(member, ms + GRACE_MS);
      child.kill("SIGSTOP");
      setTimeout(() => {
        child.kill("SIGCONT");
        member.stopped = false;
      }, ms);
    },
    setClock(instance: number, aheadMs: number): void {
      const member = members[instance] as Member;
      member.aheadMs = aheadMs;
      disturb(member, 0);
      tell(member, { aheadMs });
    },
    close(): void {
      closing = true;
      for (const { child } of members) child?.kill("SIGKILL");
    },
  };
}
