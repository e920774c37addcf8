/** A line's value, or several properties of one component. */
export type Property = readonly [name: string, value: string];

const LINE_OCTETS = 75;

/** RFC 5545 TEXT: backslash, comma, semicolon and line ends are escaped. */
export function text(value: string): string {
  return value.replace(/[\\,;]/g, "\\$&").replaceAll("\n", "\\n");
}

/** An ISO date as DATE: `20261122`. */
export function dateValue(date: string): string {
  return date.replaceAll("-", "");
}

/** Content lines ended by CRLF and folded at 75 octets, never inside a character. */
export function serialise(properties: readonly Property[]): string {
  return properties.map(([name, value]) => `${fold(`${name}:${value}`)}\r\n`).join("");
}

function fold(line: string): string {
  const lines: string[] = [];
  let current = "";
  let octets = 0;
  for (const character of line) {
    const size = Buffer.byteLength(character);
    if (octets + size > LINE_OCTETS) {
      lines.push(current);
      current = " ";
      octets = 1;
    }
    current += character;
    octets += size;
  }
  return [...lines, current].join("\r\n");
}
