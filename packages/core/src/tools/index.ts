// The list of tools: one line each, a factory from ToolDependencies. Modules list their exports by name, so the order
// in which the model sees them is stable whatever the order here.
export { getHolidays } from "./get-holidays.ts";
export { getTodayDate } from "./get-today-date.ts";
export { getWeather } from "./get-weather.ts";
