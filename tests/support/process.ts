import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

export type Finished = { code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string };

/** Runs a Node program to its end. `stdin` is all of its standard input; undefined gives it an empty one. */
export async function runNode(
  args: string[],
  options: { stdin?: string; env?: Record<string, string>; node?: string; cwd?: string } = {},
): Promise<Finished> {
  const child = spawn(options.node ?? process.execPath, args, {
    env: { ...quietEnvironment(), ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: "pipe",
  });
  // A program may well end without having read its input.
  child.stdin.on("error", () => {});
  child.stdin.end(options.stdin ?? "");
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>,
  ]);
  return { code, signal, stdout, stderr };
}

/** This environment without what would change how a program behaves: the test runner's own, and every setting of ours. */
export function quietEnvironment(): Record<string, string> {
  const keep = ["PATH", "HOME", "TMPDIR", "LANG", "USER"];
  return Object.fromEntries(keep.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}
