import { dimensions } from "../packages/core/src/metrics.ts";
import {
  COLOR,
  costOf,
  heading,
  hidden,
  lineOf,
  one,
  percentiles,
  type Section,
  tokenLines,
} from "./lines.ts";
import { type Deployment, each, own } from "./metrics.ts";
import { graph, type Line, text } from "./widgets.ts";

export const turns: Section = (deployment) => {
  const draw = graph(deployment.region);
  const outcomeColors = { done: COLOR.good, failed: COLOR.bad, stopped: COLOR.calm, refused: COLOR.warn };
  const byOutcome = dimensions.outcome.map((outcome): Line => {
    const ids = dimensions.platform.map((platform) => `FILL(${outcome}_${platform}, 0)`);
    return { expression: `SUM([${ids.join(", ")}])`, label: outcome, color: outcomeColors[outcome] };
  });
  const parts = dimensions.outcome.flatMap((outcome) =>
    dimensions.platform.map((platform) =>
      hidden(`${outcome}_${platform}`, own(deployment, "Turns", { platform, outcome }), "Sum"),
    ),
  );
  return [
    heading(
      "## Turns\nOne message and its reply, over the API or Telegram. **Where the time goes** is of an average turn: `model` is the reply without its tools, `title` what waiting for a new conversation's title adds.",
    ),
    {
      height: 6,
      blocks: [
        draw("Turns by outcome", [...parts, ...byOutcome], { stacked: true, unit: "turns" }),
        draw(
          "Turns by platform",
          dimensions.platform.map((platform, at) =>
            one(
              platform,
              own(deployment, "Turns", { platform, outcome: "done" }),
              "Sum",
              [COLOR.good, COLOR.teal, COLOR.violet, COLOR.calm][at],
            ),
          ),
          { stacked: true, unit: "turns done" },
        ),
        draw("Turn latency", percentiles(own(deployment, "TurnDuration")), { unit: "ms" }),
        draw("Where the time goes", stepLines(deployment), { stacked: true, unit: "ms of a turn" }),
      ],
    },
  ];
};

function stepLines(deployment: Deployment): Line[] {
  const ofTurn = (id: string, label: string, color: string): Line => ({
    expression: `FILL(${id}, 0) / turns`,
    label,
    color,
  });
  return [
    hidden("turns", own(deployment, "Turns"), "Sum"),
    hidden("whole", own(deployment, "TurnDuration"), "Sum"),
    hidden("lookup", own(deployment, "SessionLookupDuration"), "Sum"),
    hidden("loading", own(deployment, "StoreLoadDuration"), "Sum"),
    hidden("begin", own(deployment, "StoreBeginDuration"), "Sum"),
    hidden("reply", own(deployment, "ReplyDuration"), "Sum"),
    hidden("tools", own(deployment, "ToolDuration"), "Sum"),
    hidden("save", own(deployment, "StoreSaveDuration"), "Sum"),
    ofTurn("lookup", "session lookup", COLOR.calm),
    ofTurn("loading", "store load", COLOR.better),
    ofTurn("begin", "store begin", COLOR.good),
    {
      // Tools of one round run at the same time, and so may take more than the reply.
      expression: "IF(reply > FILL(tools, 0), (reply - FILL(tools, 0)) / turns, 0)",
      label: "model",
      color: COLOR.violet,
    },
    ofTurn("tools", "tools", COLOR.warn),
    ofTurn("save", "store save", COLOR.green),
    {
      id: "rest",
      expression:
        "whole - FILL(lookup, 0) - FILL(loading, 0) - FILL(begin, 0) - FILL(reply, 0) - FILL(save, 0)",
      label: "",
      hidden: true,
    },
    { expression: "IF(rest > 0, rest / turns, 0)", label: "title and the rest", color: COLOR.faint },
  ];
}

export const model: Section = (deployment) => {
  const draw = graph(deployment.region);
  const { price, model: name } = deployment;
  const said = price
    ? `**Cost** is ${name}'s tokens at US$ ${price.input} a million (${price.cached} cached), ${price.output} for output.`
    : `Nobody knows what ${name} costs: set \`MODEL_PRICE\` to see it here.`;
  return [
    heading(
      `## Model and tools\n${said} A call is one request, titles and repetitions included; what is over a daily budget is not made. A failed tool is told to the model, not to the user.`,
    ),
    {
      height: 6,
      blocks: [
        draw(
          "Calls to the model",
          [
            lineOf(each(deployment, "ModelCalls", "Sum"), { prefix: "calls: " }),
            lineOf(each(deployment, "ModelFailures", "Sum"), { prefix: "failed: ", color: COLOR.bad }),
            lineOf(each(deployment, "ModelFallbacks", "Sum"), { prefix: "fallback: ", color: COLOR.warn }),
            lineOf(each(deployment, "BudgetRefusals", "Sum"), { prefix: "over the budget: " }),
            one("no budget: no Redis", own(deployment, "BudgetUnavailable"), "Sum", COLOR.calm),
          ],
          { unit: "calls" },
        ),
        draw("Latency of a call", percentiles(own(deployment, "ModelDuration")), { unit: "ms" }),
        draw(
          "Tokens",
          [
            lineOf(each(deployment, "ModelInputTokens", "Sum"), { prefix: "input: ", color: COLOR.good }),
            lineOf(each(deployment, "ModelCachedTokens", "Sum"), { prefix: "cached: ", color: COLOR.better }),
            lineOf(each(deployment, "ModelOutputTokens", "Sum"), { prefix: "output: ", color: COLOR.violet }),
          ],
          { unit: "tokens" },
        ),
        price
          ? draw(
              "Cost of the model",
              [
                ...tokenLines(deployment),
                {
                  expression: `3600 * (${costOf(deployment)}) / PERIOD(input)`,
                  label: `${name}, US$ an hour`,
                  color: COLOR.green,
                },
              ],
              { unit: "US$ an hour" },
            )
          : text(`### Cost of the model\nunknown for ${name}: set \`MODEL_PRICE\``),
      ],
    },
    {
      height: 6,
      blocks: [
        draw("Tool calls", [lineOf(each(deployment, "ToolCalls", "Sum"))], { stacked: true, unit: "calls" }),
        draw("Tools that failed", [lineOf(each(deployment, "ToolFailures", "Sum"))], { unit: "calls" }),
        draw("Tool latency, p95", [lineOf(each(deployment, "ToolDuration", "p95"))], { unit: "ms" }),
        draw(
          "Title of a new conversation",
          [
            one("p50", own(deployment, "TitleDuration"), "p50", COLOR.better),
            one("p95", own(deployment, "TitleDuration"), "p95", COLOR.good),
          ],
          { unit: "ms" },
        ),
      ],
    },
  ];
};
