// Owns the section "Metrics": what both functions have told CloudWatch so far, as numbers, times and reasons. It shows what it
// is handed, asks for nothing, and decides nothing; every number on it is one that CloudWatch would have.

import { byId, element, perFrame, setText } from "./dom.js";
import { bytesInWords, count, msInWords } from "./words.js";

/** A photo's way, in order: each metric, and what it tells the time of. */
const TIMES = [
  ["HandlerTime", "API request"],
  ["UploadLag", "Upload"],
  ["QueueAge", "Queue"],
  ["WaitTime", "Wait for a turn"],
  ["ReadTime", "Read"],
  ["PixelTime", "Pixels"],
  ["PublishTime", "Publish"],
  ["ProcessingTime", "Worker in all"],
];
/** What is counted by code. */
const REASONS = [
  ["Refusals", "Refused"],
  ["Rejected", "Rejected"],
  ["Retried", "Retried"],
  ["GivenUp", "Given up"],
];
/** What the summary counts, and in which words. */
const COUNTED = [
  ["UrlsIssued", (sum) => count(sum, "URL")],
  ["Puts", (sum) => count(sum, "PUT")],
  ["Published", (sum) => `${sum} published`],
  ["Rejected", (sum) => `${sum} rejected`],
  ["GivenUp", (sum) => `${sum} given up`],
];
/** Where one column of every chart ends and the next begins: the same for all, so that they compare and nothing ever moves. */
const EDGES_MS = [1, 10, 100, 1000, 10_000, 100_000].flatMap((ms) => [ms, 2 * ms, 5 * ms]);
/** Those with a line and words. */
const MARKS_MS = EDGES_MS.filter((_, at) => at % 3 === 0);
/** What is there at all must be seen, however much more there is of others. */
const LEAST_SHARE = 0.08;
const NOTHING = "nothing yet";
const NO_NUMBER = "–";

/** Builds the section. What comes back shows metrics, of which the newest are painted. */
export function createMetrics() {
  const details = byId("metrics");
  const rows = TIMES.map(createRow);
  const reasons = REASONS.map(createReason);
  byId("metrics-axis").append(...MARKS_MS.map((ms) => element("span", { textContent: msInWords(ms) })));
  byId("metrics-times").append(...rows.map((row) => row.node));
  byId("metrics-reasons").append(...reasons.map((reason) => reason.node));
  // Its summary may stand just above the live panel, which would hide what opens.
  details.addEventListener("toggle", () => details.open && details.scrollIntoView({ block: "nearest" }));
  let latest = [];
  const render = perFrame(() => {
    setText(byId("metrics-line"), lineInWords(latest));
    Object.entries(cardsOf(latest)).forEach(showCard);
    for (const part of [...rows, ...reasons]) part.show(latest);
  });
  return (answer) => {
    latest = answer.metrics;
    render();
  };
}

function showCard([id, [number, more]]) {
  const node = byId(`metrics-${id}`);
  setText(node, number);
  setText(byId(`metrics-${id}-more`), more);
  node.classList.toggle("is-none", [NO_NUMBER, "0"].includes(number));
}

/** One line of the table. Roles are said again where a grid takes them away. */
function createRow([name, words]) {
  const head = element("th", { scope: "row", role: "rowheader" }, words, " ", element("code", { textContent: name }));
  const numbers = ["p50", "p99", "max"].map((which) => [which, element("td", { role: "cell", textContent: NO_NUMBER })]);
  const told = element("span", { className: "times-told", textContent: NOTHING });
  const columns = [...EDGES_MS, Infinity].map(() => element("span"));
  const bars = element("span", { className: "times-bars", "aria-hidden": "true" }, ...columns);
  const cells = [...numbers.map(([, cell]) => cell), element("td", { role: "cell" }, bars, told)];
  const node = element("tr", { role: "row" }, head, ...cells);
  return {
    node,
    show(metrics) {
      const metric = totalOf(metrics, name);
      node.classList.toggle("is-none", !metric);
      for (const [which, cell] of numbers) setText(cell, metric ? msInWords(metric[which]) : NO_NUMBER);
      setText(told, metric ? histogramInWords(metric.histogram) : NOTHING);
      told.classList.toggle("visually-hidden", Boolean(metric));
      showBars(columns, columnsOf(metric?.histogram ?? []));
    },
  };
}

function showBars(columns, numbers) {
  const largest = Math.max(...numbers);
  numbers.forEach((number, at) => {
    columns[at].style.setProperty("--share", number && Math.max(LEAST_SHARE, number / largest));
    columns[at].title = number ? columnInWords(number, at) : "";
  });
}

function createReason([name, words]) {
  const list = element("dd", { textContent: NOTHING });
  return {
    node: element("div", {}, element("dt", { textContent: words }), list),
    show(metrics) {
      const codes = codesOf(metrics, name);
      const next = element("dd", {}, ...(codes.length > 0 ? codes.map(createChip) : [NOTHING]));
      if (next.textContent !== list.textContent) list.replaceChildren(...next.childNodes);
    },
  };
}

function createChip([code, sum]) {
  return element("span", {}, element("code", { textContent: code }), " ", element("b", { textContent: sum }), " ");
}

/** All of a service's, whatever the code, the route or the type; undefined while there is none. */
export function totalOf(metrics, name) {
  return metrics.find((metric) => metric.name === name && String(Object.keys(metric.dimensions)) === "Service");
}

/** `[[code, how many], ...]`, the most frequent first. */
export function codesOf(metrics, name) {
  const coded = metrics.filter((metric) => metric.name === name && metric.dimensions.Code);
  return coded.map(({ dimensions, sum }) => [dimensions.Code, sum]).sort(([, a], [, b]) => b - a);
}

/** How many came to at most each edge, and at last to more than any. */
export function columnsOf(histogram) {
  const numbers = new Array(EDGES_MS.length + 1).fill(0);
  for (const bin of histogram) {
    const at = EDGES_MS.findIndex((edge) => bin.to <= edge);
    numbers[at < 0 ? EDGES_MS.length : at] += bin.count;
  }
  return numbers;
}

function columnInWords(number, at) {
  const isLast = at === EDGES_MS.length;
  return isLast ? `${number} over ${msInWords(EDGES_MS.at(-1))}` : `${number} up to ${msInWords(EDGES_MS[at])}`;
}

/** The same for who hears it, bin by bin, finer than it can be drawn. */
export function histogramInWords(histogram) {
  const bins = histogram.filter((bin) => bin.count > 0);
  return bins.map((bin) => `${bin.count} up to ${msInWords(bin.to)}`).join(", ");
}

/** What the summary says, open or closed. */
export function lineInWords(metrics) {
  const upload = totalOf(metrics, "UploadLag");
  const counts = COUNTED.map(([name, inWords]) => [totalOf(metrics, name)?.sum, inWords]).filter(([sum]) => sum > 0);
  const words = counts.map(([sum, inWords]) => inWords(sum));
  if (upload) words.push(`upload ${msInWords(upload.p50)}`);
  return words.join(" · ") || NOTHING;
}

/** What each card says: large, and small below it. */
export function cardsOf(metrics) {
  const of = (name) => totalOf(metrics, name);
  const sum = (name) => of(name)?.sum ?? 0;
  const ms = (name, which) => msInWords(of(name)[which]);
  const card = (names, words) => (names.some(of) ? words() : [NO_NUMBER, NOTHING]);
  return {
    urls: card(["UrlsIssued", "Refusals"], () => [`${sum("UrlsIssued")}`, `${sum("Refusals")} refused`]),
    puts: card(["Puts"], () => [`${sum("Puts")}`, `${sum("FoundDone")} delivered again`]),
    published: card(["Published", "Rejected", "Retried", "GivenUp"], () => [
      `${sum("Published")}`,
      // Lines break between them only.
      `${sum("Rejected")}\u00a0rejected · ${sum("Retried")}\u00a0retried · ${sum("GivenUp")}\u00a0given\u00a0up`,
    ]),
    upload: card(["UploadLag"], () => [ms("UploadLag", "p50"), `p99 ${ms("UploadLag", "p99")}`]),
    queue: card(["QueueAge"], () => [ms("QueueAge", "p50"), `p99 ${ms("QueueAge", "p99")} · max ${ms("QueueAge", "max")}`]),
    bytes: card(["BytesIn", "BytesOut"], () => [bytesInWords(sum("BytesIn")), `${bytesInWords(sum("BytesOut"))} out`]),
  };
}
