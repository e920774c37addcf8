import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { quietEnvironment, runNode } from "../process.ts";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** What the tests of the infrastructure leave behind, for a look. */
export const WORK = join(ROOT, ".local", "infra");

const SST = join(ROOT, "node_modules", "sst", "bin", "sst.mjs");
const CONFIG = join(WORK, "config");
const ENGINE = fileURLToPath(new URL("engine.ts", import.meta.url));

/** Runs the genuine `sst`, which finds our engine where it looks for Pulumi, and nothing to download. */
export async function sst(
  args: string[],
  { cwd = ROOT, env = {} }: { cwd?: string; env?: Record<string, string> } = {},
) {
  return runNode([SST, ...args], {
    cwd,
    env: {
      ...quietEnvironment(),
      ...env,
      SST_SKIP_DEPENDENCY_CHECK: "1",
      SST_NO_BUN: "1",
      SST_TELEMETRY_DISABLED: "1",
      AWS_EC2_METADATA_DISABLED: "true",
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "nobody",
      AWS_SECRET_ACCESS_KEY: "nothing",
      XDG_CONFIG_HOME: CONFIG,
      NO_COLOR: "1",
    },
  });
}

const isString = (entry: [string, string | undefined]): entry is [string, string] => entry[1] !== undefined;

/**
 * Extracts SST's platform, which its program carries, to .sst/platform and installs the providers that it pins: a minute
 * the first time, seconds after that. @throws with what SST said
 */
export async function installPlatform(): Promise<void> {
  const bin = join(CONFIG, "sst", "bin");
  await mkdir(bin, { recursive: true });
  const engine = join(bin, "pulumi");
  await writeFile(engine, `#!/bin/sh\nexec "${process.execPath}" "${ENGINE}" "$@"\n`);
  await chmod(engine, 0o755);
  // npm finds its registry, proxies and certificates by the environment.
  const env = Object.fromEntries(Object.entries(process.env).filter(isString));
  const { code, stdout, stderr } = await sst(["install", "--stage", "test"], { env });
  if (code !== 0) throw new Error(`sst install ended with ${code}:\n${stdout}${stderr}`);
}
