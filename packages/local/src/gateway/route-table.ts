/**
 * A route of the HTTP API. `path` may hold `{name}` segments and end in a greedy `{name+}`; `method` may be ANY. The
 * path `$default` takes what no other route matches.
 */
export type Route = {
  method: string;
  path: string;
  /** The function's name; routes with the same name share its instances. */
  name: string;
  /** The handler's module, relative to the task root. */
  entry: string;
};

export type RouteMatch<R extends Route = Route> = { route: R; pathParameters: Record<string, string> };

const PARAMETER = /^\{([^+}]+)\}$/;
const DEFAULT = "$default";
const GREEDY = /^\{([^+}]+)\+\}$/;

/**
 * API Gateway's choice among routes: literal segments win over `{name}`, which wins over `{name+}`, from left to
 * right; then the exact method wins over ANY. Returns undefined when nothing matches.
 */
export function matchRoute<R extends Route>(
  routes: readonly R[],
  method: string,
  path: string,
): RouteMatch<R> | undefined {
  const segments = path.split("/");
  const matches = routes
    .filter((route) => route.method === method || route.method === "ANY")
    .map((route) => ({ route, pathParameters: matchPath(route.path.split("/"), segments) }))
    .filter((match): match is RouteMatch<R> => match.pathParameters !== undefined);
  const best = matches.sort((a, b) => (rank(a.route) < rank(b.route) ? -1 : 1))[0];
  const fallback = routes.find((route) => route.path === DEFAULT);
  return best ?? (fallback && { route: fallback, pathParameters: {} });
}

/** As in the event: `GET /things/{id}`, or `$default`. */
export const routeKeyOf = ({ method, path }: Route) => (path === DEFAULT ? DEFAULT : `${method} ${path}`);

function matchPath(pattern: string[], segments: string[]): Record<string, string> | undefined {
  const parameters: Record<string, string> = {};
  for (const [index, expected] of pattern.entries()) {
    const greedy = GREEDY.exec(expected)?.[1];
    if (greedy !== undefined) {
      const rest = segments.slice(index).join("/");
      if (rest === "") return undefined;
      parameters[greedy] = decode(rest);
      return parameters;
    }
    const actual = segments[index];
    if (actual === undefined) return undefined;
    const name = PARAMETER.exec(expected)?.[1];
    if (name === undefined ? actual !== expected : actual === "") return undefined;
    if (name !== undefined) parameters[name] = decode(actual);
  }
  return pattern.length === segments.length ? parameters : undefined;
}

/** Sorts routes by how specific they are: a digit a segment, and the method last. */
function rank(route: Route): string {
  const path = route.path.split("/").map((segment) => {
    if (GREEDY.test(segment)) return "2";
    return PARAMETER.test(segment) ? "1" : "0";
  });
  return `${path.join("")}${route.method === "ANY" ? "1" : "0"}`;
}

/** Percent-decoding that leaves what is not valid encoding as it came. */
export function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
