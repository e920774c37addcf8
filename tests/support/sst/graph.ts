import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Resource } from "./diff.ts";

export type Statement = { Effect: string; Action: string[]; Resource: string[] };

/** What a configuration declares, as `buildStage` left it in a folder. */
export type Graph = ReturnType<typeof readGraph>;

const ARN = "arn:aws:lambda:us-east-1:123456789012:function:";

export function readGraph(folder: string) {
  const resources = JSON.parse(readFileSync(join(folder, "graph.json"), "utf8")) as Resource[];
  const all = (type: string) => resources.filter((resource) => resource.type === type);
  function one(type: string, name?: string): Resource {
    const found = all(type).filter((resource) => name === undefined || resource.name === name);
    if (found.length !== 1 || !found[0]) throw new Error(`${found.length} of ${type} ${name ?? ""}`);
    return found[0];
  }
  const nameOfArn = (arn: unknown) => String(arn).slice(ARN.length);
  /** Logical names of functions, by their physical ones. */
  const logical = new Map(
    all("aws:lambda/function:Function").map(({ name, inputs }) => [
      String(inputs["name"]),
      name.replace(/Function$/, ""),
    ]),
  );
  return {
    folder,
    resources,
    all,
    one,
    /** Logical names, such as `StartConversation`. */
    functions: [...logical.values()].sort(),
    /** Inputs of the Lambda function. */
    fn: (name: string) => one("aws:lambda/function:Function", `${name}Function`).inputs,
    environment(name: string): Record<string, string> {
      const { variables } = this.fn(name)["environment"] as { variables: Record<string, string> };
      return variables;
    },
    /** The statements of a function's own policy. */
    policy(name: string): Statement[] {
      const { inlinePolicies } = one("aws:iam/role:Role", `${name}Role`).inputs;
      const policies = inlinePolicies as { policy: string }[];
      return policies.flatMap(({ policy }) => (JSON.parse(policy) as { Statement: Statement[] }).Statement);
    },
    /** Which function answers each route key. */
    routes(): Record<string, string | undefined> {
      const integrations = new Map(
        all("aws:apigatewayv2/integration:Integration").map(({ name, inputs }) => [
          `integrations/${name}-id`,
          inputs,
        ]),
      );
      return Object.fromEntries(
        all("aws:apigatewayv2/route:Route").map(({ inputs }) => [
          String(inputs["routeKey"]),
          logical.get(nameOfArn(integrations.get(String(inputs["target"]))?.["integrationUri"])),
        ]),
      );
    },
    /** The function of an ARN. */
    functionOf: (arn: unknown) => logical.get(nameOfArn(arn)),
  };
}
