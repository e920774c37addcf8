import { isIPv6 } from "node:net";

type Url = { protocol: "http" | "https"; userinfo: string; host: string; port: number; path: string };

/** Why a link is refused. */
export class LinkError extends Error {
  override readonly name = "LinkError";
}

/**
 * The link as Telegram would store it, by TDLib's rules (`LinkManager::check_link`): http(s) with a dot in the host,
 * `tg:`, `ton:` and `tonsite:`. Whatever begins with another scheme is read as a host, so `tel:` is refused and
 * `mailto:a@b.c` becomes a user at the host `b.c`. Throws LinkError.
 */
export function checkLink(link: string): string {
  const scheme = /^(tg|ton|tonsite):(?:\/\/)?/i.exec(link);
  if (scheme?.[1] !== undefined) {
    return checkInnerLink(scheme[1].toLowerCase(), link.slice(scheme[0].length));
  }
  const url = parse(link);
  if (!url.host.includes(".") && !url.host.startsWith("[")) throw new LinkError("Wrong HTTP URL");
  const userinfo = url.userinfo === "" ? "" : `${url.userinfo}@`;
  const port = url.port === 0 ? "" : `:${url.port}`;
  return `${url.protocol}://${userinfo}${url.host}${port}${url.path}`;
}

function checkInnerLink(scheme: string, rest: string): string {
  const { protocol, userinfo, host, port, path } = parse(rest);
  const isPlain = !/^http:\/\//i.test(rest) && protocol === "http" && userinfo === "" && port === 0;
  if (!isPlain || host.startsWith("[")) throw new LinkError(`Wrong ${scheme === "tg" ? "tg" : "ton"} URL`);
  if (!(scheme === "tonsite" ? /^[a-z0-9_.-]*$/ : /^[a-z0-9_-]*$/).test(host)) {
    throw new LinkError("Unallowed characters in URL host");
  }
  return `${scheme}://${host}${path.startsWith("/?") ? path.slice(1) : path}`;
}

function parse(text: string): Url {
  const [prefix = "", scheme = ""] = /^([^:/?#@[\]]*):\/\//.exec(text) ?? [];
  const protocol = prefix === "" ? "http" : scheme.toLowerCase();
  if (protocol !== "http" && protocol !== "https") throw new LinkError("Unsupported URL protocol");
  const rest = text.slice(prefix.length);
  const end = rest.search(/[/?#]/);
  const authority = end < 0 ? rest : rest.slice(0, end);
  const [, before = authority, portText = ""] = /^(.+):([^:\]@]*)$/s.exec(authority) ?? [];
  const port = before === authority ? 0 : portOf(portText);
  const at = before.lastIndexOf("@");
  const userinfo = at < 0 ? "" : before.slice(0, at);
  const host = before.slice(at + 1).toLowerCase();
  if (host.startsWith("[") && host.endsWith("]")) {
    if (!isIPv6(host.slice(1, -1))) throw new LinkError("Wrong IPv6 address specified in the URL");
  } else {
    if (host === "") throw new LinkError("URL host is empty");
    if (host === ".") throw new LinkError("Host is invalid");
    checkPart(host, "host", /[a-z0-9.\-_!$,~*'();&+=\u0080-\uffff]/i);
    checkPart(userinfo, "userinfo", /[a-z0-9.\-_!$,~*'();&+=:\u0080-\uffff]/i);
  }
  return { protocol, userinfo, host, port, path: pathOf(end < 0 ? "" : rest.slice(end)) };
}

function portOf(text: string): number {
  const port = /^-?\d+$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new LinkError("Wrong port number specified in the URL");
  return port;
}

function checkPart(part: string, name: string, allowed: RegExp): void {
  const rest = part.replace(/%[0-9a-f]{2}/gi, "");
  if (rest.includes("%")) throw new LinkError(`Wrong percent-encoded symbol in URL ${name}`);
  if ([...rest].some((character) => character.length === 1 && !allowed.test(character))) {
    throw new LinkError(`Disallowed character in URL ${name}`);
  }
}

function pathOf(rest: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what Telegram encodes.
  const path = rest.trimEnd().replace(/[\u0000-\u0020]/g, (character) => encodeURIComponent(character));
  return path.startsWith("/") ? path : `/${path}`;
}
