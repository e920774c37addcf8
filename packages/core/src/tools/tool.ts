import type { Clock } from "../clock.ts";
import type { HolidayCalendar } from "../holidays/holiday-calendar.ts";
import type { Deadline } from "../resilience/deadline.ts";
import type * as z from "../schema.ts";
import type { WeatherService } from "../weather/weather-service.ts";

/**
 * Something that the model may call. `execute` gets arguments that `parameters` accepted and answers in plain text.
 * What it throws becomes a result that tells the model of the failure: an AppError's message is shown to it, anything
 * else is only named a failure.
 */
export type Tool<Parameters extends z.ZodMiniObject = z.ZodMiniObject> = {
  name: string;
  description: string;
  /** Every field required, optional ones nullable: strict function calling knows no optional fields. */
  parameters: Parameters;
  execute(args: z.infer<Parameters>, context: { deadline: Deadline }): Promise<string> | string;
};

/** What a tool may be made of. */
export type ToolDependencies = {
  clock: Clock;
  weather: Pick<WeatherService, "current" | "forecast">;
  holidays: Pick<HolidayCalendar, "between">;
};

/** Checks a tool's types; the list holds tools of any parameters. */
export const defineTool = <Parameters extends z.ZodMiniObject>(tool: Tool<Parameters>): Tool =>
  tool as unknown as Tool;
