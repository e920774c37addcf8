import type { Fields } from "../aws-json.ts";
import type { Engine } from "./engine.ts";
import { validationError } from "./errors.ts";

interface Specification {
  Enabled: boolean;
  AttributeName: string;
}

interface Setting extends Fields, Specification {
  TableId: string;
}

/** UpdateTimeToLive and DescribeTimeToLive. What has expired stays: DynamoDB, too, promises no moment of deletion. */
export function createTimeToLive(engine: Engine) {
  /** The setting of an earlier table of the same name does not count. */
  async function current(name: string): Promise<{ TableId: string; setting: Setting | undefined }> {
    const { TableId } = await engine.table(name);
    const setting = (await engine.settings.get(`ttl~${name}`)) as Setting | undefined;
    return { TableId, setting: setting?.Enabled && setting.TableId === TableId ? setting : undefined };
  }

  return {
    async describe(input: Fields): Promise<Fields> {
      const { setting } = await current(String(input["TableName"]));
      const { AttributeName } = setting ?? {};
      const status = AttributeName
        ? { TimeToLiveStatus: "ENABLED", AttributeName }
        : { TimeToLiveStatus: "DISABLED" };
      return { TimeToLiveDescription: status };
    },
    async update(input: Fields): Promise<Fields> {
      const name = String(input["TableName"]);
      const { Enabled, AttributeName } = (input["TimeToLiveSpecification"] ?? {}) as Partial<Specification>;
      if (typeof Enabled !== "boolean" || !AttributeName) {
        throw validationError("TimeToLiveSpecification must have Enabled and AttributeName");
      }
      const { TableId, setting } = await current(name);
      if (Enabled === (setting !== undefined)) {
        throw validationError(`TimeToLive is already ${Enabled ? "enabled" : "disabled"}`);
      }
      await engine.settings.put(`ttl~${name}`, { Enabled, AttributeName, TableId });
      return { TimeToLiveSpecification: { Enabled, AttributeName } };
    },
  };
}
