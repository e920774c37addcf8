import { cp, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { copyProduct, type ProductCopy } from "../product-copy.ts";
import { ROOT } from "./sst.ts";

export type Project = ProductCopy;

/** A copy of the product that a test may spoil, with SST's platform by links. */
export async function copyProject(): Promise<Project> {
  const copy = await copyProduct();
  const { root } = copy;
  await mkdir(join(root, ".sst"));
  await symlink(join(ROOT, ".sst", "platform"), join(root, ".sst", "platform"));
  await cp(join(ROOT, ".sst", "provider-lock.json"), join(root, ".sst", "provider-lock.json"));
  return copy;
}
