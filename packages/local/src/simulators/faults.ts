/**
 * Something to go wrong. `status` (500 when only `code`, `message` or `retryAfterSeconds` is given) answers with
 * an error in the simulator's own protocol; `delayMs` waits first; `hang` never answers; `cut` destroys the socket
 * in the middle of the true body; `malformed` answers 200 with a body that does not parse. It strikes the requests
 * whose path begins with `path` and whose body contains `bodyIncludes` (all of them without), `times` times or,
 * without `times`, until it is cleared.
 */
export type Fault = {
  status?: number;
  code?: string | number;
  message?: string;
  retryAfterSeconds?: number;
  delayMs?: number;
  hang?: boolean;
  cut?: boolean;
  malformed?: boolean;
  times?: number;
  path?: string;
  bodyIncludes?: string;
};

export type Faults = {
  /** Returns what removes this fault again. */
  add(fault: Fault): () => void;
  /** The fault that strikes this request, counted as used. */
  take(request: { path: string; body: string }): Fault | undefined;
  list(): Fault[];
  clear(): void;
};

const FIELDS: Readonly<Record<keyof Fault, readonly string[]>> = {
  status: ["number"],
  code: ["string", "number"],
  message: ["string"],
  retryAfterSeconds: ["number"],
  delayMs: ["number"],
  hang: ["boolean"],
  cut: ["boolean"],
  malformed: ["boolean"],
  times: ["number"],
  path: ["string"],
  bodyIncludes: ["string"],
};

/** Throws a `TypeError` that names the offending field. */
export function parseFault(value: unknown): Fault {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError("a fault is a JSON object");
  }
  for (const [name, field] of Object.entries(value)) {
    const types = Object.hasOwn(FIELDS, name) ? FIELDS[name as keyof Fault] : undefined;
    if (types === undefined) {
      throw new TypeError(`a fault has no field "${name}"; it has ${Object.keys(FIELDS).join(", ")}`);
    }
    if (!types.includes(typeof field)) throw new TypeError(`"${name}" must be a ${types.join(" or ")}`);
  }
  const fault = value as Fault;
  if (
    fault.status !== undefined &&
    !(Number.isInteger(fault.status) && fault.status >= 400 && fault.status <= 599)
  ) {
    throw new TypeError(`"status" must be an error status, 400 to 599`);
  }
  return fault;
}

export function createFaults(): Faults {
  let active: { fault: Fault; left: number }[] = [];
  return {
    add(fault) {
      const entry = { fault: parseFault(fault), left: fault.times ?? Number.POSITIVE_INFINITY };
      active.push(entry);
      return () => {
        active = active.filter((each) => each !== entry);
      };
    },
    take({ path, body }) {
      const entry = active.find(
        ({ fault }) => path.startsWith(fault.path ?? "") && body.includes(fault.bodyIncludes ?? ""),
      );
      if (entry === undefined) return undefined;
      entry.left -= 1;
      if (entry.left <= 0) active = active.filter((each) => each !== entry);
      return entry.fault;
    },
    list: () => active.map(({ fault, left }) => (Number.isFinite(left) ? { ...fault, times: left } : fault)),
    clear() {
      active = [];
    },
  };
}
