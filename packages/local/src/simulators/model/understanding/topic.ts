export type Topic = "weather" | "time" | "date" | "holidays";

const HOLIDAYS = /\b(?:holidays?|days? off)\b/i;
const VACATION = /\bon (?:a |my |our )?holidays?\b/i;
const WEATHER = /\b(?:weather|forecasts?|temperatures?)\b/i;
/** Words of the weather that mean it only in a question. */
const WEATHER_WORD =
  /\b(?:rain(?:y|ing|s)?|snow(?:y|ing|s)?|sunny|cloudy|windy?|storm(?:y|s)?|humid(?:ity)?|umbrella|jacket|coat|hot|cold|warm|degrees)\b/i;
const ASKING =
  /\b(?:if|whether) (?:it|there)\b|^(?:\W*(?:and|so|but|also)\b)?\W*(?:is|are|will|would|does|do|how|should|shall|what|any|when)\b/i;
const TIME =
  /\b(?:what(?:'s|s| is)?(?: the)?(?: current| local| exact)? time|time is it|time (?:in|at|there|now|zone)|(?<!\b(?:at|by|all) )(?:the|local|current) time)\b(?! (?:of|to|when|for|that|i|we)\b)/i;
const DATE =
  /\b(?:what(?:'s|s| is)?(?: the| today's| tomorrow's)? (?:date|day)|(?:today|tomorrow)'s date|which day|day of the week|(?:know|tell me) the (?:date|day))\b(?! (?:like|of birth)\b)/i;

/** What a clause is about, if it says so. */
export function topicOf(clause: string): Topic | undefined {
  if (HOLIDAYS.test(clause) && !VACATION.test(clause)) return "holidays";
  if (WEATHER.test(clause) || (WEATHER_WORD.test(clause) && ASKING.test(clause))) return "weather";
  if (TIME.test(clause)) return "time";
  return DATE.test(clause) ? "date" : undefined;
}
