import type { MetricStore, Range, Selected, Values } from "./store.ts";

/** A line of values, and of what it is where it was searched for. */
export type Series = { values: Values; source?: Selected };
type Value = number | Series | Series[];

/** What an expression may name, by id, and where it searches. */
export type Scope = { range: Range; store: MetricStore; series: (id: string) => Series | undefined };

/**
 * Evaluates a CloudWatch metric math expression: arithmetic, comparisons, lists, and SUM, AVG, MAX, MIN,
 * FILL, IF, PERIOD and SEARCH. As there, a point has no value where an operand has none. @throws for anything else
 */
export function evaluate(expression: string, scope: Scope): Series[] {
  const tokens = tokenise(expression);
  const parser = new Parser(tokens, scope);
  const value = parser.comparison();
  parser.end();
  if (typeof value === "number") return [{ values: fill(scope.range.count, value) }];
  return Array.isArray(value) ? value : [value];
}

const TOKEN = /\s*(?:(\d+(?:\.\d+)?(?:e-?\d+)?)|([A-Za-z_]\w*)|'([^']*)'|(>=|<=|==|!=|[-+*/()<>[\],]))/y;
type Token = { type: "number" | "name" | "text" | "sign"; text: string };

function tokenise(expression: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  const source = expression.trimEnd();
  while (TOKEN.lastIndex < source.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(source);
    if (!match) throw new Error(`cannot read "${source.slice(at)}" of ${expression}`);
    const [, number, name, text, sign] = match;
    if (number !== undefined) tokens.push({ type: "number", text: number });
    else if (name !== undefined) tokens.push({ type: "name", text: name });
    else if (text !== undefined) tokens.push({ type: "text", text });
    else tokens.push({ type: "sign", text: sign ?? "" });
  }
  return tokens;
}

const COMPARISONS: Readonly<Record<string, (a: number, b: number) => number>> = {
  ">": (a, b) => Number(a > b),
  "<": (a, b) => Number(a < b),
  ">=": (a, b) => Number(a >= b),
  "<=": (a, b) => Number(a <= b),
  "==": (a, b) => Number(a === b),
  "!=": (a, b) => Number(a !== b),
};
const SUMS: typeof COMPARISONS = { "+": (a, b) => a + b, "-": (a, b) => a - b };
const PRODUCTS: typeof COMPARISONS = { "*": (a, b) => a * b, "/": (a, b) => (b === 0 ? Number.NaN : a / b) };

class Parser {
  readonly #tokens: Token[];
  readonly #scope: Scope;
  #at = 0;

  constructor(tokens: Token[], scope: Scope) {
    this.#tokens = tokens;
    this.#scope = scope;
  }

  comparison(): Value {
    return this.#binary(COMPARISONS, () =>
      this.#binary(SUMS, () => this.#binary(PRODUCTS, () => this.#unary())),
    );
  }

  end(): void {
    const left = this.#tokens[this.#at];
    if (left) throw new Error(`did not expect ${left.text}`);
  }

  #binary(operations: typeof COMPARISONS, operand: () => Value): Value {
    let left = operand();
    for (;;) {
      const token = this.#tokens[this.#at];
      const operation = token?.type === "sign" ? operations[token.text] : undefined;
      if (!operation) return left;
      this.#at += 1;
      left = combine(left, operand(), operation);
    }
  }

  #unary(): Value {
    if (!this.#took("-")) return this.#primary();
    return combine(0, this.#unary(), (a, b) => a - b);
  }

  #primary(): Value {
    const token = this.#tokens[this.#at];
    this.#at += 1;
    if (token?.type === "number") return Number(token.text);
    if (token?.type === "name") return this.#took("(") ? this.#call(token.text) : this.#named(token.text);
    if (token?.text === "(") {
      const value = this.comparison();
      this.#expect(")");
      return value;
    }
    if (token?.text === "[") return this.#list("]").flatMap(seriesOf);
    throw new Error(`did not expect ${token?.text ?? "the end"}`);
  }

  #named(id: string): Series {
    const series = this.#scope.series(id);
    if (!series) throw new Error(`there is no ${id}`);
    return series;
  }

  #list(end: string): Value[] {
    const values: Value[] = [];
    if (this.#took(end)) return values;
    do values.push(this.comparison());
    while (this.#took(","));
    this.#expect(end);
    return values;
  }

  #call(name: string): Value {
    const { range } = this.#scope;
    if (name === "SEARCH") return this.#search();
    const args = this.#list(")");
    const [first = 0, second = 0, third = 0] = args;
    switch (name) {
      case "PERIOD":
        return range.periodMs / 1_000;
      case "FILL":
        return mapSeries(first, ({ values, ...rest }) => ({
          ...rest,
          values: values.map((value) => value ?? (second as number)),
        }));
      case "IF":
        return choose(first, second, third, range.count);
      case "SUM":
      case "AVG":
      case "MAX":
      case "MIN":
        return aggregate(name, args.flatMap(seriesOf), range.count);
      default:
        throw new Error(`there is no function ${name}`);
    }
  }

  /** `'{Namespace,dimension,...} MetricName="X" dimension="value"', 'Stat', period` */
  #search(): Series[] {
    const { store, range } = this.#scope;
    const pattern = this.#text();
    this.#expect(",");
    const stat = this.#text();
    if (this.#took(",")) this.comparison();
    this.#expect(")");
    return find(store, pattern).map((source) => ({ values: store.read(source, stat, range), source }));
  }

  #text(): string {
    const token = this.#tokens[this.#at];
    if (token?.type !== "text") throw new Error(`expected a text, not ${token?.text}`);
    this.#at += 1;
    return token.text;
  }

  #took(sign: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.type !== "sign" || token.text !== sign) return false;
    this.#at += 1;
    return true;
  }

  #expect(sign: string): void {
    if (!this.#took(sign))
      throw new Error(`expected ${sign}, not ${this.#tokens[this.#at]?.text ?? "the end"}`);
  }
}

/** The metrics that a search finds, in order of their dimensions' values. */
export function find(store: MetricStore, pattern: string): Selected[] {
  const match = /^\{([^}]*)\}\s*(.*)$/.exec(pattern);
  if (!match) throw new Error(`cannot read the search ${pattern}`);
  const [namespace, ...names] = (match[1] ?? "").split(",").map((name) => name.trim().replaceAll('"', ""));
  const terms = [...(match[2] ?? "").matchAll(/(\w+)="([^"]*)"/g)];
  return store
    .all()
    .filter((metric) => {
      const own = Object.keys(metric.dimensions);
      return (
        metric.namespace === namespace &&
        own.length === names.length &&
        names.every((name) => own.includes(name)) &&
        terms.every(([, key = "", value]) =>
          key === "MetricName" ? metric.name === value : metric.dimensions[key] === value,
        )
      );
    })
    .sort((a, b) => (valuesOf(a) < valuesOf(b) ? -1 : 1));
}

const valuesOf = ({ dimensions }: Selected) => JSON.stringify(Object.values(dimensions));
const fill = (count: number, value: number): Values => Array.from({ length: count }, () => value);
const seriesOf = (value: Value): Series[] => {
  if (typeof value === "number") throw new Error("a number is no time series");
  return Array.isArray(value) ? value : [value];
};

function mapSeries(value: Value, change: (series: Series) => Series): Value {
  if (typeof value === "number") return value;
  return Array.isArray(value) ? value.map(change) : change(value);
}

function combine(left: Value, right: Value, operation: (a: number, b: number) => number): Value {
  if (typeof left === "number" && typeof right === "number") return operation(left, right);
  if (Array.isArray(left)) return left.map((one) => combine(one, right, operation) as Series);
  if (Array.isArray(right)) return right.map((one) => combine(left, one, operation) as Series);
  const [a, b] = [at(left), at(right)];
  const { values: frame, ...rest } = typeof left === "number" ? (right as Series) : left;
  const values = frame.map((_, index) => {
    const [x, y] = [a(index), b(index)];
    if (x === undefined || y === undefined) return undefined;
    const result = operation(x, y);
    return Number.isFinite(result) ? result : undefined;
  });
  return { ...rest, values };
}

const at = (value: Value) => (index: number) =>
  typeof value === "number" ? value : Array.isArray(value) ? undefined : value.values[index];

function choose(condition: Value, yes: Value, no: Value, count: number): Series {
  const [test, then, otherwise] = [at(condition), at(yes), at(no)];
  const values = fill(count, 0).map((_, index) => {
    const met = test(index);
    return met === undefined ? undefined : met !== 0 ? then(index) : otherwise(index);
  });
  return { values };
}

/** Over the lines, point by point: those without a value are left out. */
function aggregate(name: "SUM" | "AVG" | "MAX" | "MIN", lines: readonly Series[], count: number): Series {
  const values = fill(count, 0).map((_, index) => {
    const known = lines.map(({ values }) => values[index]).filter((value) => value !== undefined);
    if (known.length === 0) return undefined;
    const sum = known.reduce((total, value) => total + value, 0);
    if (name === "SUM") return sum;
    if (name === "AVG") return sum / known.length;
    return name === "MAX" ? Math.max(...known) : Math.min(...known);
  });
  return { values };
}
