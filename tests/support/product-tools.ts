import * as tools from "@parley/core/tools/index";
import type { Tool } from "@parley/core/tools/tool";

const place = (name: string) => ({ name, region: "", country: "", timezone: "UTC" });

/** The product's tools, on services that know one place and one holiday. */
export const productTools = (): Tool[] =>
  Object.values(tools).map((create) =>
    create({
      clock: { now: () => Date.UTC(2026, 10, 22, 14, 40) },
      weather: {
        current: async (name) => ({
          value: {
            place: place(name),
            localTime: "2026-11-22 14:40",
            temperatureC: 18,
            feelsLikeC: 17,
            condition: "Sunny (simulated)",
            humidity: 60,
            windKph: 12,
            windDirection: "NW",
          },
          provider: "weatherapi",
          ageMs: 0,
          stale: false,
        }),
        forecast: async (name) => ({
          value: { place: place(name), days: [] },
          provider: "weatherapi",
          ageMs: 0,
          stale: false,
        }),
      },
      holidays: {
        between: async () => [{ date: "2026-12-25", lastDate: "2026-12-25", name: "Christmas Day" }],
      },
    }),
  );
