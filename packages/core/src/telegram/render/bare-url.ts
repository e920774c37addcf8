import type { Options } from "mdast-util-from-markdown";

type Extension = Exclude<NonNullable<Options["extensions"]>[number], unknown[]>;
type Constructs = NonNullable<NonNullable<Extension["text"]>[string]>;
type Construct = Exclude<Constructs, unknown[]>;
type State = ReturnType<Construct["tokenize"]>;
type Code = Parameters<State>[0];

const SCHEMES = ["http://", "https://"];
const ADDRESS = /[a-z\d./?:%#@!$&+,;=-]/i;
const ALPHANUMERIC = /[a-z\d]/i;

/** Underscores that something follows: those at an address's end may close an emphasis around it. */
const innerUnderscores: Construct = {
  partial: true,
  tokenize(effects, ok, nok) {
    return function underscores(code: Code): State | undefined {
      if (character(code) !== "_") return ALPHANUMERIC.test(character(code)) ? ok(code) : nok(code);
      effects.consume(code);
      return underscores;
    };
  },
};

const construct: Construct = {
  name: "bareUrl",
  previous: (code) => !ALPHANUMERIC.test(character(code)),
  tokenize(effects, ok, nok) {
    let scheme = "";
    return start;

    function start(code: Code): State | undefined {
      effects.enter("data");
      return inScheme(code);
    }

    function inScheme(code: Code): State | undefined {
      scheme += character(code).toLowerCase();
      if (code === null || !SCHEMES.some((known) => known.startsWith(scheme))) return nok(code);
      effects.consume(code);
      return SCHEMES.includes(scheme) ? inAddress : inScheme;
    }

    function inAddress(code: Code): State | undefined {
      if (ADDRESS.test(character(code))) return consumed(code);
      if (character(code) === "_") return effects.check(innerUnderscores, consumed, end)(code);
      return end(code);
    }

    function consumed(code: Code): State | undefined {
      effects.consume(code);
      return inAddress;
    }

    function end(code: Code): State | undefined {
      effects.exit("data");
      return ok(code);
    }
  },
};

/**
 * An address written out is text, which Telegram makes a link by itself; but its underscores are no emphasis:
 * `https://host/__init__.py`. (GFM's own constructs for it take time that grows with the square of the text.)
 */
export const bareUrl: Extension = { text: { 72: construct, 104: construct } };

/** Codes below zero are tabs and line endings, null the end of the text. */
function character(code: Code): string {
  return code === null || code < 0 ? "" : String.fromCodePoint(code);
}
