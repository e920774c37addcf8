import { createSocket } from "node:dgram";
import { once } from "node:events";

/** A subsegment as the X-Ray daemon receives it. */
export type Subsegment = {
  id: string;
  name: string;
  parent_id?: string;
  trace_id?: string;
  start_time: number;
  end_time?: number;
  error?: boolean;
  fault?: boolean;
  annotations?: Record<string, string | number | boolean>;
  cause?: { exceptions: { message: string; type: string }[] };
  subsegments?: Subsegment[];
};

export type Step = Subsegment & { children: Step[] };

/** What X-Ray's daemon is to a function: a UDP port that takes a header line and a subsegment a datagram. */
export async function startDaemon() {
  const socket = createSocket("udp4");
  const received: Subsegment[] = [];
  const texts: string[] = [];
  socket.on("message", (datagram) => {
    const text = datagram.toString("utf8");
    const [header = "", ...rest] = text.split("\n");
    const { format, version } = JSON.parse(header);
    if (format !== "json" || version !== 1) throw new Error(`a daemon would not understand ${header}`);
    texts.push(text);
    received.push(...flatten(JSON.parse(rest.join("\n"))));
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    /** Every datagram as it came. */
    texts,
    /** The steps below Lambda's own segment `parentId`, in the order in which they began. */
    treeBelow: (parentId: string) => childrenOf(parentId, received),
    close: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  };
}

export type Daemon = Awaited<ReturnType<typeof startDaemon>>;

/** A subsegment may bring its own, closed before it was sent. */
function flatten(segment: Subsegment): Subsegment[] {
  const below = (segment.subsegments ?? []).flatMap((child) => flatten({ ...child, parent_id: segment.id }));
  return [segment, ...below];
}

function childrenOf(parentId: string, all: readonly Subsegment[]): Step[] {
  return all
    .filter(({ parent_id }) => parent_id === parentId)
    .sort((a, b) => a.start_time - b.start_time)
    .map((segment) => ({ ...segment, children: childrenOf(segment.id, all) }));
}

/** As the original's documentation draws it: `├─ name [12ms]`. */
export function drawTree(steps: readonly Step[], indent = ""): string {
  return steps
    .map((step, at) => {
      const last = at === steps.length - 1;
      const ms = Math.round(((step.end_time ?? Number.NaN) - step.start_time) * 1_000);
      const notes = Object.entries(step.annotations ?? {}).map(([key, value]) => ` ${key}=${value}`);
      const below = drawTree(step.children, `${indent}${last ? "   " : "│  "}`);
      return `${indent}${last ? "└─" : "├─"} ${step.name} [${ms}ms]${notes.join("")}\n${below}`;
    })
    .join("");
}

/** Names alone, each with those of the steps within it. */
export type Names = { [name: string]: Names };
export const namesOf = (steps: readonly Step[]): Names =>
  Object.fromEntries(steps.map(({ name, children }) => [name, namesOf(children)]));

export const findStep = (steps: readonly Step[], name: string): Step | undefined =>
  steps.map((step) => (step.name === name ? step : findStep(step.children, name))).find(Boolean);
