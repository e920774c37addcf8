import { addDays } from "../local-time.ts";
import { dateValue, type Property, text } from "./icalendar.ts";

const NAME = "Public holidays of Catalonia (simulated)";
const ZONE = "Europe/Madrid";

/** Month and day of what falls on the same date every year. */
const FIXED: readonly (readonly [monthDay: string, name: string, description?: string])[] = [
  ["01-01", "New Year's Day"],
  ["01-06", "Epiphany"],
  [
    "06-24",
    "Saint John's Day, midsummer",
    "Bonfires and fireworks on the eve; shops, offices and schools stay closed.\nAlso written: Sant Joan; Nit de Sant Joan.",
  ],
  ["08-15", "Assumption of Mary"],
  ["09-11", "National Day of Catalonia", "Also called la Diada; it remembers 11 September 1714."],
  ["10-12", "National Day of Spain"],
  ["11-01", "All Saints' Day"],
  ["12-06", "Constitution Day"],
  ["12-08", "Immaculate Conception"],
  ["12-25", "Christmas Day"],
  ["12-26", "Saint Stephen's Day"],
];

const ZONE_RULES: readonly Property[] = [
  ["BEGIN", "VTIMEZONE"],
  ["TZID", ZONE],
  ["BEGIN", "DAYLIGHT"],
  ["DTSTART", "19700329T020000"],
  ["TZOFFSETFROM", "+0100"],
  ["TZOFFSETTO", "+0200"],
  ["TZNAME", "CEST"],
  ["RRULE", "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU"],
  ["END", "DAYLIGHT"],
  ["BEGIN", "STANDARD"],
  ["DTSTART", "19701025T030000"],
  ["TZOFFSETFROM", "+0200"],
  ["TZOFFSETTO", "+0100"],
  ["TZNAME", "CET"],
  ["RRULE", "FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU"],
  ["END", "STANDARD"],
  ["END", "VTIMEZONE"],
];

/**
 * A calendar that holds `year - 1` to `year + 2`: days of a year's list, the movable ones, one of several days (la
 * Mercè), one by a yearly rule (Labour Day) and one with a time of day (Christmas Eve's early closing).
 */
export function holidayCalendar(year: number): Property[] {
  const years = [year - 1, year, year + 1, year + 2];
  return [
    ["BEGIN", "VCALENDAR"],
    ["VERSION", "2.0"],
    ["PRODID", "-//Parley//Simulated holidays//EN"],
    ["CALSCALE", "GREGORIAN"],
    ["METHOD", "PUBLISH"],
    ["X-WR-CALNAME", text(NAME)],
    ["X-WR-TIMEZONE", ZONE],
    ...ZONE_RULES,
    ...allDay("labour-day", year, { from: `${year - 1}-05-01`, name: "Labour Day", rule: "FREQ=YEARLY" }),
    ...years.flatMap((each) => holidaysOf(each, year)),
    ["END", "VCALENDAR"],
  ];
}

function holidaysOf(year: number, stampYear: number): Property[] {
  const easter = easterSunday(year);
  return [
    ...FIXED.flatMap(([monthDay, name, description]) =>
      allDay(`${year}-${monthDay}`, stampYear, { from: `${year}-${monthDay}`, name, description }),
    ),
    ...allDay(`${year}-good-friday`, stampYear, { from: addDays(easter, -2), name: "Good Friday" }),
    ...allDay(`${year}-easter-monday`, stampYear, { from: addDays(easter, 1), name: "Easter Monday" }),
    ...allDay(`${year}-merce`, stampYear, {
      from: `${year}-09-23`,
      to: `${year}-09-25`,
      name: "Festival of la Mercè",
    }),
    ...event(`${year}-christmas-eve`, stampYear, "Christmas Eve, early closing", [
      [`DTSTART;TZID=${ZONE}`, `${year}1224T140000`],
      [`DTEND;TZID=${ZONE}`, `${year}1224T220000`],
    ]),
  ];
}

type AllDay = { from: string; to?: string; name: string; description?: string | undefined; rule?: string };

/** `to` is the last day; iCalendar's own end is the day after it. */
function allDay(uid: string, stampYear: number, { from, to, name, description, rule }: AllDay): Property[] {
  return event(uid, stampYear, name, [
    ["DTSTART;VALUE=DATE", dateValue(from)],
    ["DTEND;VALUE=DATE", dateValue(addDays(to ?? from, 1))],
    ...(rule === undefined ? [] : [["RRULE", rule] as const]),
    ...(description === undefined ? [] : [["DESCRIPTION", text(description)] as const]),
  ]);
}

function event(uid: string, stampYear: number, name: string, when: readonly Property[]): Property[] {
  return [
    ["BEGIN", "VEVENT"],
    ["UID", `${uid}@holidays.parley.invalid`],
    ["DTSTAMP", `${stampYear}0101T000000Z`],
    ...when,
    ["SUMMARY", text(`${name} (simulated)`)],
    ["TRANSP", "TRANSPARENT"],
    ["END", "VEVENT"],
  ];
}

/** Gregorian Easter (Meeus, Jones, Butcher). */
function easterSunday(year: number): string {
  const a = year % 19;
  const b = Math.floor(year / 100);
  const c = year % 100;
  const h = (19 * a + b - Math.floor(b / 4) - Math.floor((b - Math.floor((b + 8) / 25) + 1) / 3) + 15) % 30;
  const l = (32 + 2 * (b % 4) + 2 * Math.floor(c / 4) - h - (c % 4)) % 7;
  const m = Math.floor((a + 11 * h + 22 * l) / 451);
  const sum = h + l - 7 * m + 114;
  const month = String(Math.floor(sum / 31)).padStart(2, "0");
  return `${year}-${month}-${String((sum % 31) + 1).padStart(2, "0")}`;
}
