/** `url`: a link that Telegram takes. `address`: it would refuse it as a link, but the reader can use it as text. */
export type LinkTarget = { url: string } | { address: string };

const MAX_URL = 2048;
const MAX_ADDRESS = 256;
const UNSAFE = /[\s\p{Cc}\p{Cf}\p{Cs}]/u;
const SCHEME = /^([a-z][a-z\d+.-]*):/i;
const DOMAIN = /^[a-z\d_-]+(\.[a-z\d_-]+)+\.?$/;
const DEEP_LINK = /^tg:(?:\/\/)?(?!user(?:$|[/?#]))[a-z\d_-]+(?:[/?#].*)?$/i;
const EMAIL = /^[^\s@<>()]+@[^\s@<>()]+$/;
const PHONE = /^\+?[\d().-]{3,32}$/;

/**
 * What to do with a link's destination; undefined: nothing, its text alone stays.
 * One address that Telegram refuses makes it refuse the whole message: a host without a dot, `mailto:`
 * (read as a web page of that user), `tel:`. `tg://user` would notify whoever the model names.
 */
export function linkTarget(destination: string): LinkTarget | undefined {
  if (destination.length > MAX_URL || UNSAFE.test(destination)) return undefined;
  switch (SCHEME.exec(destination)?.[1]?.toLowerCase()) {
    case "http":
    case "https":
      return webTarget(destination);
    case "tg":
      return DEEP_LINK.test(destination) ? { url: destination } : undefined;
    case "mailto":
      return addressTarget(destination.slice("mailto:".length).replace(/\?.*$/, ""), EMAIL);
    case "tel":
      return addressTarget(destination.slice("tel:".length), PHONE);
    default:
      return undefined;
  }
}

function webTarget(destination: string): LinkTarget | undefined {
  const url = URL.parse(destination);
  // A user name before the host is a disguise more often than a login.
  if (url === null || url.username || url.password) return undefined;
  const reachable = (DOMAIN.test(url.hostname) || url.hostname.startsWith("[")) && url.port !== "0";
  if (!reachable) return addressTarget(destination, /^/);
  return url.href.length <= MAX_URL ? { url: url.href } : undefined;
}

function addressTarget(address: string, form: RegExp): LinkTarget | undefined {
  return address.length <= MAX_ADDRESS && form.test(address) ? { address } : undefined;
}
