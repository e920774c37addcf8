import { type Step, words } from "./step.ts";

const WANTED =
  /\b(?:long|\d{1,3}[,.]?\d{3}[- ]characters?)\b.*\b(?:answer|example|text|code|program|essay)\b/i;
const LENGTH = /\b(\d{1,3})[,.]?(\d{3})[- ]characters?\b/i;
const USUAL_LENGTH = 10_000;
const MOST = 30_000;

/** "Give me a long answer with code", "a 10,000-character answer": so many characters, nearly all of them one code block. */
export function essayStep(text: string): Step | undefined {
  if (!WANTED.test(text)) return undefined;
  const [, thousands = "", rest = ""] = LENGTH.exec(text) ?? [];
  return words(essay(Math.min(Number(thousands + rest) || USUAL_LENGTH, MOST)));
}

function essay(length: number): string {
  const opening = [
    "## A long answer (simulated)",
    "",
    "This is **made up** to be long. The program does nothing useful; it is here to be *split*:",
    "",
    "```python",
    "",
  ].join("\n");
  const closing = "\n```\n\nThat was all of it.";
  const lines = [];
  for (let n = 1, left = length - opening.length - closing.length; left > 0; n++) {
    const line = `def step_${n}(value):  # ${n} of many\n    return value * ${n} + ${n % 7}\n\n`.slice(
      0,
      left,
    );
    lines.push(line);
    left -= line.length;
  }
  return opening + lines.join("") + closing;
}
