import { createHash, randomBytes } from "node:crypto";
import { parseArgs } from "node:util";

const HELP = `npm run api-key -- <id>

Makes an API key and prints its secret, once, for the client, and its line for API_KEYS. The id owns what the key
creates: give a second key the same id to rotate the secret. 1 to 64 letters, digits, "_", "." or "-".
`;

const { positionals, values } = parseArgs({
  options: { help: { type: "boolean", short: "h" } },
  allowPositionals: true,
  // Otherwise an id that begins with a dash ends in a stack trace.
  strict: false,
});
const [id, ...rest] = positionals;
const unknown = Object.keys(values).some((name) => name !== "help");
if (values["help"]) {
  process.stdout.write(HELP);
} else if (unknown || id === undefined || rest.length > 0 || !/^[A-Za-z0-9_.-]{1,64}$/.test(id)) {
  process.stderr.write(HELP);
  process.exitCode = 2;
} else {
  // 256 bits: nothing to guess, so a plain digest of it is safe to keep.
  const secret = `pk_${randomBytes(32).toString("base64url")}`;
  const digest = createHash("sha256").update(secret).digest("hex");
  process.stdout.write(
    `secret, for the client (X-API-Key):  ${secret}\nto add to API_KEYS:                  ${id}:${digest}\n`,
  );
}
