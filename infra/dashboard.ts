import { caches, machinery, telegram } from "./dashboard-services.ts";
import { model, turns } from "./dashboard-turns.ts";
import { COLOR, costOf, heading, hidden, one, percentiles, type Section, tokenLines } from "./lines.ts";
import { aws, type Deployment, type Metric, own } from "./metrics.ts";
import { type Block, type DashboardBody, graph, type Line, number, stack } from "./widgets.ts";

/**
 * The dashboard's body, from the same list of metrics that the code counts by. `alarmArns` are the alarms whose state
 * it shows first.
 */
export function dashboardBody(deployment: Deployment, alarmArns: readonly string[] = []): DashboardBody {
  const sections = [summary, requests, turns, model, caches, telegram, machinery];
  const rows = sections.flatMap((section) => section(deployment, alarmArns));
  return { start: "-PT3H", periodOverride: "auto", widgets: stack(rows) };
}

const summary: Section = (deployment, alarmArns) => {
  const show = number(deployment.region);
  const sum = (title: string, label: string, metric: Metric) => show(title, [one(label, metric, "Sum")]);
  return [
    heading(
      `# Parley, ${deployment.stage}\nNumbers are of all the time shown, times are UTC. A graph that is empty had nothing to count: what does not happen is not emitted.`,
    ),
    ...(alarmArns.length > 0
      ? [
          {
            height: 2,
            blocks: [
              { type: "alarm", properties: { title: "Alarms", alarms: [...alarmArns] } },
            ] satisfies Block[],
          },
        ]
      : []),
    {
      height: 3,
      blocks: [
        sum("Requests", "answered", own(deployment, "Requests")),
        show("Requests failed", [
          {
            id: "rate",
            metric: own(deployment, "RequestFailures"),
            stat: "Average",
            label: "",
            hidden: true,
          },
          { expression: "100 * rate", label: "% answered 5xx", color: COLOR.bad },
        ]),
        sum("Turns", "messages", own(deployment, "Turns")),
        show("Turns failed", [
          hidden("rate", own(deployment, "TurnFailures"), "Average"),
          { expression: "100 * rate", label: "% without an answer", color: COLOR.bad },
        ]),
        show("Slowest 1 % of turns", [
          hidden("p99", own(deployment, "TurnDuration"), "p99"),
          { expression: "p99 / 1000", label: "s or longer" },
        ]),
        deployment.price
          ? show("Spent on the model", [
              ...tokenLines(deployment),
              { expression: costOf(deployment), label: "US$ of tokens" },
            ])
          : show("Tokens sent to the model", [
              one("input", own(deployment, "ModelInputTokens", { model: deployment.model }), "Sum"),
            ]),
      ],
    },
  ];
};

const requests: Section = (deployment) => {
  const draw = graph(deployment.region);
  const { apiId } = deployment;
  const count = aws("AWS/ApiGateway", "Count", apiId);
  const perMinute = (label: string, id: string, color: string): Line => ({
    expression: `60 * ${id} / PERIOD(${id})`,
    label,
    color,
  });
  return [
    heading(
      "## Requests\n**At API Gateway** are also those that its own limit turned away or that a function died of; the other lines are what functions answered. The dashed line is the alarm's.",
    ),
    {
      height: 6,
      blocks: [
        draw(
          "Requests a minute",
          [
            hidden("ours", own(deployment, "Requests"), "Sum"),
            hidden("rejected", own(deployment, "RequestRejections"), "Sum"),
            hidden("failed", own(deployment, "RequestFailures"), "Sum"),
            hidden("api", count, "Sum"),
            perMinute("answered", "ours", COLOR.good),
            perMinute("4xx", "rejected", COLOR.warn),
            perMinute("5xx", "failed", COLOR.bad),
            perMinute("at API Gateway", "api", COLOR.calm),
          ],
          { unit: "a minute" },
        ),
        draw(
          "Errors",
          [
            hidden("failed", own(deployment, "RequestFailures"), "Average"),
            hidden("api", count, "Sum"),
            hidden("api5xx", aws("AWS/ApiGateway", "5xx", apiId), "Sum"),
            { expression: "100 * FILL(api5xx, 0) / api", label: "5xx at API Gateway", color: COLOR.calm },
            { expression: "100 * failed", label: "5xx of ours", color: COLOR.bad },
          ],
          { unit: "%", limit: { label: "alarm", value: 5 } },
        ),
        draw("Latency", percentiles(own(deployment, "RequestDuration")), { unit: "ms" }),
        draw(
          "Turned away",
          [
            one("over the rate limit", own(deployment, "RateLimited"), "Sum", COLOR.warn),
            one("without a valid key", own(deployment, "AuthenticationFailures"), "Sum", COLOR.bad),
            one("unchecked: no Redis", own(deployment, "RateLimitUnavailable"), "Sum", COLOR.calm),
          ],
          { unit: "requests" },
        ),
      ],
    },
  ];
};
