/** A real place that the simulators know. `lat` and `lon` are degrees, `timeZone` an IANA name. */
export type City = {
  name: string;
  region: string;
  country: string;
  timeZone: string;
  lat: number;
  lon: number;
};

// name|region|country|time zone|lat|lon|other names. A country's first line stands for the country itself.
const TABLE = `
Barcelona|Catalonia|Spain|Europe/Madrid|41.38|2.18|bcn
Madrid|Madrid|Spain|Europe/Madrid|40.40|-3.68
Valencia|Valencia|Spain|Europe/Madrid|39.48|-0.37
Seville|Andalucia|Spain|Europe/Madrid|37.38|-5.99|Sevilla
Bilbao|Pais Vasco|Spain|Europe/Madrid|43.25|-2.97
Malaga|Andalucia|Spain|Europe/Madrid|36.72|-4.42
Granada|Andalucia|Spain|Europe/Madrid|37.18|-3.60
Zaragoza|Aragon|Spain|Europe/Madrid|41.63|-0.88
Girona|Catalonia|Spain|Europe/Madrid|41.98|2.82
Tarragona|Catalonia|Spain|Europe/Madrid|41.12|1.25
Lleida|Catalonia|Spain|Europe/Madrid|41.62|0.62
Palma|Islas Baleares|Spain|Europe/Madrid|39.57|2.65|Palma de Mallorca
Las Palmas|Canary Islands|Spain|Atlantic/Canary|28.10|-15.41
Andorra la Vella|Andorra la Vella|Andorra|Europe/Andorra|42.50|1.52
Lisbon|Lisboa|Portugal|Europe/Lisbon|38.72|-9.13|Lisboa
Porto|Porto|Portugal|Europe/Lisbon|41.15|-8.62|Oporto
Paris|Ile-de-France|France|Europe/Paris|48.87|2.33
Lyon|Rhone-Alpes|France|Europe/Paris|45.75|4.85
Marseille|Provence-Alpes-Cote d'Azur|France|Europe/Paris|43.30|5.40
Nice|Provence-Alpes-Cote d'Azur|France|Europe/Paris|43.70|7.25
Toulouse|Midi-Pyrenees|France|Europe/Paris|43.60|1.43
Bordeaux|Aquitaine|France|Europe/Paris|44.83|-0.57
Strasbourg|Alsace|France|Europe/Paris|48.58|7.75
Perpignan|Languedoc-Roussillon|France|Europe/Paris|42.70|2.88
London|City of London, Greater London|United Kingdom|Europe/London|51.52|-0.11|Londres
Manchester|Greater Manchester|United Kingdom|Europe/London|53.50|-2.22
Birmingham|West Midlands|United Kingdom|Europe/London|52.47|-1.92
Liverpool|Merseyside|United Kingdom|Europe/London|53.42|-2.92
Edinburgh|Edinburgh|United Kingdom|Europe/London|55.95|-3.20
Glasgow|Glasgow City|United Kingdom|Europe/London|55.83|-4.25
Cardiff|Cardiff|United Kingdom|Europe/London|51.50|-3.20
Belfast|Belfast|United Kingdom|Europe/London|54.58|-5.93
Dublin|Dublin|Ireland|Europe/Dublin|53.33|-6.25
Cork|Cork|Ireland|Europe/Dublin|51.90|-8.47
Berlin|Berlin|Germany|Europe/Berlin|52.52|13.40
Munich|Bayern|Germany|Europe/Berlin|48.15|11.58|Munchen
Hamburg|Hamburg|Germany|Europe/Berlin|53.55|10.00
Frankfurt|Hessen|Germany|Europe/Berlin|50.12|8.68|Frankfurt am Main
Cologne|Nordrhein-Westfalen|Germany|Europe/Berlin|50.93|6.95|Koln
Stuttgart|Baden-Wurttemberg|Germany|Europe/Berlin|48.77|9.18
Amsterdam|North Holland|Netherlands|Europe/Amsterdam|52.37|4.89
Rotterdam|South Holland|Netherlands|Europe/Amsterdam|51.92|4.48
The Hague|South Holland|Netherlands|Europe/Amsterdam|52.08|4.30|Den Haag
Brussels|Brussels|Belgium|Europe/Brussels|50.83|4.33|Bruxelles
Antwerp|Antwerpen|Belgium|Europe/Brussels|51.22|4.42
Luxembourg|Luxembourg|Luxembourg|Europe/Luxembourg|49.61|6.13
Zurich|Zurich|Switzerland|Europe/Zurich|47.38|8.54
Geneva|Geneve|Switzerland|Europe/Zurich|46.20|6.17|Geneve
Bern|Bern|Switzerland|Europe/Zurich|46.92|7.47
Vienna|Wien|Austria|Europe/Vienna|48.20|16.37|Wien
Salzburg|Salzburg|Austria|Europe/Vienna|47.80|13.03
Rome|Lazio|Italy|Europe/Rome|41.90|12.48|Roma
Milan|Lombardia|Italy|Europe/Rome|45.47|9.20|Milano
Naples|Campania|Italy|Europe/Rome|40.83|14.25|Napoli
Florence|Toscana|Italy|Europe/Rome|43.77|11.25|Firenze
Venice|Veneto|Italy|Europe/Rome|45.44|12.33|Venezia
Turin|Piemonte|Italy|Europe/Rome|45.05|7.67|Torino
Palermo|Sicilia|Italy|Europe/Rome|38.12|13.37
Athens|Attica|Greece|Europe/Athens|37.98|23.73
Thessaloniki|Central Macedonia|Greece|Europe/Athens|40.64|22.94
Valletta|Valletta|Malta|Europe/Malta|35.90|14.51
Copenhagen|Hovedstaden|Denmark|Europe/Copenhagen|55.67|12.58
Oslo|Oslo|Norway|Europe/Oslo|59.92|10.75
Bergen|Hordaland|Norway|Europe/Oslo|60.39|5.33
Tromso|Troms|Norway|Europe/Oslo|69.65|18.96
Stockholm|Stockholms Lan|Sweden|Europe/Stockholm|59.33|18.05
Gothenburg|Vastra Gotaland|Sweden|Europe/Stockholm|57.72|11.97|Goteborg
Malmo|Skane Lan|Sweden|Europe/Stockholm|55.60|13.00
Helsinki|Southern Finland|Finland|Europe/Helsinki|60.18|24.93
Reykjavik|Gullbringusysla|Iceland|Atlantic/Reykjavik|64.15|-21.95
Tallinn|Harjumaa|Estonia|Europe/Tallinn|59.43|24.73
Riga|Riga|Latvia|Europe/Riga|56.95|24.10
Vilnius|Vilniaus Apskritis|Lithuania|Europe/Vilnius|54.68|25.32
Warsaw|Mazowieckie|Poland|Europe/Warsaw|52.25|21.00|Warszawa
Krakow|Malopolskie|Poland|Europe/Warsaw|50.08|19.92|Cracow
Gdansk|Pomorskie|Poland|Europe/Warsaw|54.35|18.67
Prague|Hlavni mesto Praha|Czech Republic|Europe/Prague|50.08|14.47|Praha
Bratislava|Bratislava|Slovakia|Europe/Bratislava|48.15|17.12
Budapest|Budapest|Hungary|Europe/Budapest|47.50|19.08
Ljubljana|Ljubljana|Slovenia|Europe/Ljubljana|46.06|14.51
Zagreb|Grad Zagreb|Croatia|Europe/Zagreb|45.80|16.00
Dubrovnik|Dubrovacko-Neretvanska|Croatia|Europe/Zagreb|42.65|18.09
Sarajevo|Federation of Bosnia and Herzegovina|Bosnia and Herzegovina|Europe/Sarajevo|43.85|18.38
Belgrade|Serbia|Serbia|Europe/Belgrade|44.83|20.50|Beograd
Sofia|Grad Sofiya|Bulgaria|Europe/Sofia|42.68|23.32
Bucharest|Bucuresti|Romania|Europe/Bucharest|44.43|26.10
Kyiv|Kyyivs'ka Oblast'|Ukraine|Europe/Kyiv|50.43|30.52|Kiev
Lviv|L'vivs'ka Oblast'|Ukraine|Europe/Kyiv|49.84|24.02
Moscow|Moscow City|Russia|Europe/Moscow|55.75|37.62
Saint Petersburg|Saint Petersburg City|Russia|Europe/Moscow|59.89|30.26|St Petersburg
Vladivostok|Primor'ye|Russia|Asia/Vladivostok|43.13|131.90
Istanbul|Istanbul|Turkey|Europe/Istanbul|41.02|28.96
Ankara|Ankara|Turkey|Europe/Istanbul|39.93|32.86
Tbilisi|T'bilisi|Georgia|Asia/Tbilisi|41.73|44.79
Yerevan|Yerevan|Armenia|Asia/Yerevan|40.18|44.51
Tel Aviv|Tel Aviv|Israel|Asia/Jerusalem|32.07|34.76|Tel Aviv-Yafo
Jerusalem|Jerusalem|Israel|Asia/Jerusalem|31.78|35.22
Beirut|Beyrouth|Lebanon|Asia/Beirut|33.87|35.51
Amman|Amman|Jordan|Asia/Amman|31.95|35.93
Baghdad|Baghdad|Iraq|Asia/Baghdad|33.34|44.39
Tehran|Tehran|Iran|Asia/Tehran|35.67|51.42
Riyadh|Ar Riyad|Saudi Arabia|Asia/Riyadh|24.64|46.77
Doha|Ad Dawhah|Qatar|Asia/Qatar|25.29|51.53
Dubai|Dubai|United Arab Emirates|Asia/Dubai|25.25|55.28
Abu Dhabi|Abu Dhabi|United Arab Emirates|Asia/Dubai|24.47|54.37
Cairo|Al Qahirah|Egypt|Africa/Cairo|30.05|31.25
Casablanca|Casablanca-Settat|Morocco|Africa/Casablanca|33.59|-7.62
Marrakesh|Marrakech-Safi|Morocco|Africa/Casablanca|31.63|-8.00|Marrakech
Algiers|Alger|Algeria|Africa/Algiers|36.76|3.05
Tunis|Tunis|Tunisia|Africa/Tunis|36.80|10.18
Dakar|Dakar|Senegal|Africa/Dakar|14.67|-17.44
Accra|Greater Accra|Ghana|Africa/Accra|5.55|-0.22
Lagos|Lagos|Nigeria|Africa/Lagos|6.45|3.40
Nairobi|Nairobi Area|Kenya|Africa/Nairobi|-1.28|36.82
Addis Ababa|Adis Abeba|Ethiopia|Africa/Addis_Ababa|9.03|38.70
Dar es Salaam|Dar es Salaam|Tanzania|Africa/Dar_es_Salaam|-6.80|39.28
Kinshasa|Kinshasa|Democratic Republic of the Congo|Africa/Kinshasa|-4.30|15.30
Johannesburg|Gauteng|South Africa|Africa/Johannesburg|-26.20|28.08
Cape Town|Western Cape|South Africa|Africa/Johannesburg|-33.92|18.42
New Delhi|Delhi|India|Asia/Kolkata|28.60|77.20|Delhi
Mumbai|Maharashtra|India|Asia/Kolkata|18.98|72.83|Bombay
Bengaluru|Karnataka|India|Asia/Kolkata|12.98|77.58|Bangalore
Chennai|Tamil Nadu|India|Asia/Kolkata|13.08|80.28|Madras
Kolkata|West Bengal|India|Asia/Kolkata|22.57|88.37|Calcutta
Hyderabad|Telangana|India|Asia/Kolkata|17.38|78.47
Karachi|Sindh|Pakistan|Asia/Karachi|24.87|67.05
Lahore|Punjab|Pakistan|Asia/Karachi|31.55|74.34
Dhaka|Dhaka|Bangladesh|Asia/Dhaka|23.72|90.41
Kathmandu|Bagmati|Nepal|Asia/Kathmandu|27.72|85.32
Colombo|Western|Sri Lanka|Asia/Colombo|6.93|79.85
Tashkent|Toshkent|Uzbekistan|Asia/Tashkent|41.32|69.25
Almaty|Almaty|Kazakhstan|Asia/Almaty|43.25|76.95
Bangkok|Krung Thep|Thailand|Asia/Bangkok|13.75|100.52
Hanoi|Ha Noi|Vietnam|Asia/Bangkok|21.03|105.85
Ho Chi Minh City|Ho Chi Minh|Vietnam|Asia/Ho_Chi_Minh|10.75|106.67|Saigon
Singapore|Singapore|Singapore|Asia/Singapore|1.29|103.86
Kuala Lumpur|Kuala Lumpur|Malaysia|Asia/Kuala_Lumpur|3.17|101.70
Jakarta|Jakarta Raya|Indonesia|Asia/Jakarta|-6.21|106.85
Denpasar|Bali|Indonesia|Asia/Makassar|-8.65|115.22|Bali
Manila|Manila|Philippines|Asia/Manila|14.60|120.98
Beijing|Beijing|China|Asia/Shanghai|39.93|116.39|Peking
Shanghai|Shanghai|China|Asia/Shanghai|31.01|121.41
Shenzhen|Guangdong|China|Asia/Shanghai|22.53|114.13
Hong Kong|Hong Kong|Hong Kong|Asia/Hong_Kong|22.28|114.15
Taipei|T'ai-pei|Taiwan|Asia/Taipei|25.04|121.53
Seoul|Seoul|South Korea|Asia/Seoul|37.57|127.00
Busan|Busan|South Korea|Asia/Seoul|35.10|129.04
Tokyo|Tokyo|Japan|Asia/Tokyo|35.69|139.69
Osaka|Osaka|Japan|Asia/Tokyo|34.67|135.50
Kyoto|Kyoto|Japan|Asia/Tokyo|35.00|135.75
Sapporo|Hokkaido|Japan|Asia/Tokyo|43.05|141.35
Sydney|New South Wales|Australia|Australia/Sydney|-33.88|151.22
Melbourne|Victoria|Australia|Australia/Melbourne|-37.82|144.97
Brisbane|Queensland|Australia|Australia/Brisbane|-27.50|153.02
Perth|Western Australia|Australia|Australia/Perth|-31.93|115.83
Adelaide|South Australia|Australia|Australia/Adelaide|-34.93|138.60
Auckland|Auckland|New Zealand|Pacific/Auckland|-36.87|174.77
Wellington|Wellington|New Zealand|Pacific/Auckland|-41.30|174.78
Suva|Central|Fiji|Pacific/Fiji|-18.13|178.42
Honolulu|Hawaii|United States of America|Pacific/Honolulu|21.31|-157.86|Hawaii
Washington|District of Columbia|United States of America|America/New_York|38.90|-77.04|Washington DC,Washington D.C.
New York|New York|United States of America|America/New_York|40.71|-74.01|New York City,NYC
Boston|Massachusetts|United States of America|America/New_York|42.36|-71.06
Philadelphia|Pennsylvania|United States of America|America/New_York|39.95|-75.16
Miami|Florida|United States of America|America/New_York|25.77|-80.19
Atlanta|Georgia|United States of America|America/New_York|33.75|-84.39
Detroit|Michigan|United States of America|America/Detroit|42.33|-83.05
Chicago|Illinois|United States of America|America/Chicago|41.85|-87.65
Houston|Texas|United States of America|America/Chicago|29.76|-95.36
Dallas|Texas|United States of America|America/Chicago|32.78|-96.80
Austin|Texas|United States of America|America/Chicago|30.27|-97.74
New Orleans|Louisiana|United States of America|America/Chicago|29.95|-90.08
Minneapolis|Minnesota|United States of America|America/Chicago|44.98|-93.26
Denver|Colorado|United States of America|America/Denver|39.74|-104.98
Phoenix|Arizona|United States of America|America/Phoenix|33.45|-112.07
Las Vegas|Nevada|United States of America|America/Los_Angeles|36.17|-115.14
Los Angeles|California|United States of America|America/Los_Angeles|34.05|-118.24
San Francisco|California|United States of America|America/Los_Angeles|37.78|-122.42
San Diego|California|United States of America|America/Los_Angeles|32.72|-117.16
Portland|Oregon|United States of America|America/Los_Angeles|45.52|-122.68
Seattle|Washington|United States of America|America/Los_Angeles|47.61|-122.33
Anchorage|Alaska|United States of America|America/Anchorage|61.22|-149.90
Toronto|Ontario|Canada|America/Toronto|43.67|-79.42
Ottawa|Ontario|Canada|America/Toronto|45.42|-75.70
Montreal|Quebec|Canada|America/Toronto|45.50|-73.58
Calgary|Alberta|Canada|America/Edmonton|51.08|-114.08
Vancouver|British Columbia|Canada|America/Vancouver|49.25|-123.13
Mexico City|Distrito Federal|Mexico|America/Mexico_City|19.43|-99.13
Guadalajara|Jalisco|Mexico|America/Mexico_City|20.67|-103.33
Havana|La Habana|Cuba|America/Havana|23.13|-82.36
Guatemala City|Guatemala|Guatemala|America/Guatemala|14.62|-90.52
San Jose|San Jose|Costa Rica|America/Costa_Rica|9.93|-84.08
Panama City|Panama|Panama|America/Panama|8.97|-79.53
Bogota|Cundinamarca|Colombia|America/Bogota|4.60|-74.08
Medellin|Antioquia|Colombia|America/Bogota|6.29|-75.54
Caracas|Distrito Federal|Venezuela|America/Caracas|10.50|-66.92
Quito|Pichincha|Ecuador|America/Guayaquil|-0.22|-78.50
Lima|Lima|Peru|America/Lima|-12.05|-77.05
La Paz|La Paz|Bolivia|America/La_Paz|-16.50|-68.15
Santiago|Region Metropolitana|Chile|America/Santiago|-33.45|-70.67|Santiago de Chile
Buenos Aires|Distrito Federal|Argentina|America/Argentina/Buenos_Aires|-34.59|-58.67
Cordoba|Cordoba|Argentina|America/Argentina/Cordoba|-31.40|-64.18
Montevideo|Montevideo|Uruguay|America/Montevideo|-34.86|-56.17
Asuncion|Distrito Capital|Paraguay|America/Asuncion|-25.27|-57.67
Brasilia|Distrito Federal|Brazil|America/Sao_Paulo|-15.78|-47.92
Sao Paulo|Sao Paulo|Brazil|America/Sao_Paulo|-23.53|-46.62
Rio de Janeiro|Rio de Janeiro|Brazil|America/Sao_Paulo|-22.90|-43.23|Rio
`;

const COUNTRY_ALIASES: ReadonlyMap<string, string> = new Map([
  ["usa", "united states of america"],
  ["us", "united states of america"],
  ["united states", "united states of america"],
  ["america", "united states of america"],
  ["uk", "united kingdom"],
  ["great britain", "united kingdom"],
  ["england", "united kingdom"],
  ["scotland", "united kingdom"],
  ["holland", "netherlands"],
  ["czechia", "czech republic"],
  ["uae", "united arab emirates"],
  ["korea", "south korea"],
  ["turkiye", "turkey"],
]);

/** Countries that Node knows by another name. */
const UNUSUAL_CODES: readonly (readonly [name: string, code: string])[] = [
  ["bosnia and herzegovina", "BA"],
  ["czech republic", "CZ"],
  ["democratic republic of the congo", "CD"],
  ["hong kong", "HK"],
  ["turkey", "TR"],
  ["united kingdom", "GB"],
  ["united states of america", "US"],
];

/** How far from a known city a pair of coordinates may lie and still be answered, in degrees. */
const NEAREST_WITHIN = 3;

const byName = new Map<string, City[]>();
const byCountry = new Map<string, City>();
const regions = new Set<string>();
const cities: City[] = [];

for (const line of TABLE.trim().split("\n")) {
  const [name = "", region = "", country = "", timeZone = "", lat, lon, aliases] = line.split("|");
  const city: City = { name, region, country, timeZone, lat: Number(lat), lon: Number(lon) };
  cities.push(city);
  regions.add(foldName(region));
  for (const each of [name, ...(aliases?.split(",") ?? [])]) {
    const key = foldName(each);
    byName.set(key, [...(byName.get(key) ?? []), city]);
  }
  const key = foldName(country);
  if (!byCountry.has(key)) byCountry.set(key, city);
}

/** Lower case, no accents, single spaces: "  São  PAULO " and "sao paulo" are one name. */
export function foldName(name: string): string {
  return name
    .normalize("NFD")
    .replace(/\p{M}+/gu, "")
    .toLowerCase()
    .replaceAll("ø", "o")
    .replaceAll("ł", "l")
    .replaceAll("ß", "ss")
    .replace(/[\s.'’_-]+/gu, " ")
    .trim();
}

function countryKey(folded: string): string {
  return COUNTRY_ALIASES.get(folded) ?? folded;
}

/** Whether `name` is a country of the table, or another name of one ("USA"). */
export function isCountry(name: string): boolean {
  return byCountry.has(countryKey(foldName(name)));
}

/** The country that `name` is, as the table calls it; `undefined` for what is none. */
export function countryOf(name: string | undefined): string | undefined {
  return name === undefined || !isCountry(name)
    ? undefined
    : byCountry.get(countryKey(foldName(name)))?.country;
}

/** Whether `name` is a city's, not only a country's that stands for one. */
export function isCity(name: string): boolean {
  return byName.has(foldName(name.split(",")[0] ?? ""));
}

/** Whether a name already folded is a city's or a country's. */
export function isKnownName(folded: string): boolean {
  return byName.has(folded) || byCountry.has(countryKey(folded));
}

/** Whether `name` is a region of the table ("Catalonia"). */
export function isRegion(name: string): boolean {
  return regions.has(foldName(name));
}

/**
 * The city meant by "Name", "Name, Region", "Name, Country", a country's name or "lat,lon";
 * `undefined` when the table has none.
 */
export function findCity(query: string): City | undefined {
  const coordinates = /^\s*([-+]?\d{1,2}(?:\.\d+)?)\s*,\s*([-+]?\d{1,3}(?:\.\d+)?)\s*$/.exec(query);
  if (coordinates) return nearestCity(Number(coordinates[1]), Number(coordinates[2]));
  const [name = "", ...qualifiers] = query.split(",").map(foldName);
  const named = (byName.get(name) ?? []).find((city) => qualifiers.every((part) => liesIn(city, part)));
  return named ?? (qualifiers.length === 0 ? byCountry.get(countryKey(name)) : undefined);
}

function liesIn(city: City, part: string): boolean {
  const country = foldName(city.country);
  return (
    part === "" ||
    country === countryKey(part) ||
    foldName(city.region).split(", ").includes(part) ||
    foldName(city.region) === part
  );
}

/** The known city that coordinates lie near; anywhere else a place of its own, by its solar time. */
export function cityAt(lat: number, lon: number): City {
  const hours = Math.round(lon / 15);
  // The names of these zones count westwards.
  const timeZone = `Etc/GMT${hours > 0 ? "-" : "+"}${Math.abs(hours)}`;
  return nearestCity(lat, lon) ?? { name: `${lat},${lon}`, region: "", country: "", timeZone, lat, lon };
}

/** ISO 3166-1 alpha-2 of a country of the table; `undefined` for another. */
export function countryCode(country: string): string | undefined {
  return codes().get(foldName(country));
}

let codesByName: Map<string, string> | undefined;

function codes(): Map<string, string> {
  if (codesByName !== undefined) return codesByName;
  const names = new Intl.DisplayNames("en", { type: "region", fallback: "none" });
  codesByName = new Map(UNUSUAL_CODES);
  const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
  for (const code of letters.flatMap((first) => letters.map((second) => first + second))) {
    const name = names.of(code);
    if (name !== undefined && !codesByName.has(foldName(name))) codesByName.set(foldName(name), code);
  }
  return codesByName;
}

function nearestCity(lat: number, lon: number): City | undefined {
  if (Math.abs(lat) > 90 || Math.abs(lon) > 180) return undefined;
  let best: { city: City; distance: number } | undefined;
  for (const city of cities) {
    const distance = Math.hypot(city.lat - lat, (city.lon - lon) * Math.cos((lat * Math.PI) / 180));
    if (distance <= NEAREST_WITHIN && (best === undefined || distance < best.distance))
      best = { city, distance };
  }
  return best?.city;
}
