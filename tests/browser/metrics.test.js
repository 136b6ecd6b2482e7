// Owns what must hold of the page's metrics: they are those of `GET /dev/metrics`, for the eye and for the ear, nothing moves
// when they change, and everybody can use them. `target/browser` has the pictures.

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { bytesInWords, msInWords } from "../../web/page/words.js";
import { screenshot, suite, until } from "./support/browser.js";
import { openDarkroom } from "./support/darkroom-page.js";
import { corruptJpeg, jpeg, smallPng } from "./support/files.js";
import { MAX_SHIFT, shiftsSoFar, sumOfShifts, violations, watchShifts } from "./support/judges.js";

const CARDS = { urls: "UrlsIssued", puts: "Puts", published: "Published" };
const TIMES = ["HandlerTime", "UploadLag", "QueueAge", "WaitTime", "ReadTime", "PixelTime", "PublishTime", "ProcessingTime"];
const REASONS = ["Refusals", "Rejected", "Retried", "GivenUp"];

const scenario = suite();

scenario("where nothing has happened, the metrics say so calmly, and are closed", { flags: ["--no-worker"] }, async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  await darkroom.isListening();
  assert.equal(await page.locator("#metrics").evaluate((details) => details.open), false);
  assert.equal(await page.locator("#metrics-line").textContent(), "nothing yet");
  await open(page);
  const { cards, times, reasons } = await shown(page);
  assert.deepEqual(cards, { urls: "–", puts: "–", published: "–", upload: "–", queue: "–", bytes: "–" });
  assert.deepEqual(times, TIMES.map((name) => [name, "–", "–", "–", "nothing yet", 0]));
  assert.deepEqual(reasons, ["nothing yet", "nothing yet", "nothing yet", "nothing yet"]);
  await darkroom.pick(smallPng(1));
  await page.locator("#metrics-urls", { hasText: /^1$/ }).waitFor();
  assert.equal(await page.locator("#metrics-line").textContent(), "1 URL");
});

// Bars that grow are as high as they say only in the end.
const still = { reducedMotion: "reduce" };
scenario("the metrics are those of /dev/metrics, counts, times, bars and reasons", still, async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  await open(page);
  await darkroom.pick(await jpeg(), await corruptJpeg(), smallPng(2));
  await askForRefusal(stack);
  for (const name of ["wide.jpg", "corrupt.jpg", "small-2.png"]) await darkroom.end(name);
  await page.locator("#metrics-published", { hasText: /^2$/ }).waitFor();
  await page.locator("#metrics-published-more", { hasText: /^1.rejected/ }).waitFor();
  await until(async () => isDeepStrictEqual(await shown(page), expected(await metricsOf(stack))));
  const { cards, reasons, times } = await shown(page);
  assert.deepEqual([cards.urls, cards.puts, reasons[0], reasons[1]], ["3", "3", "unsupported_type 1", "corrupt 1"]);
  for (const [name, , , , , counted] of times.filter(([name]) => name !== "HandlerTime")) {
    // Only what is published has pixels, and only what is read is published or rejected.
    assert.ok(counted >= 2, `${name}: ${counted}`);
  }
  // The highest bar of each chart fills its row.
  const heights = await page.locator("#metrics-times .times-bars").evaluateAll((charts) => {
    const height = (column) => Number(getComputedStyle(column, "::before").scale.split(" ").at(-1));
    return charts.map((chart) => Math.max(...[...chart.children].map(height)));
  });
  assert.deepEqual(heights, TIMES.map(() => 1));
  const link = page.getByRole("link", { name: "/dev/metrics" });
  assert.equal(await link.evaluate(({ href }) => href), `${stack.api}/dev/metrics`);
});

for (const [width, height] of [[390, 844], [1440, 900]]) {
  scenario(`nothing moves while the metrics change, ${width} px wide`, { viewport: { width, height } }, async ({ page, stack, t }) => {
    await watchShifts(page);
    const darkroom = await openDarkroom(page, stack);
    await darkroom.isListening();
    const before = await metricsOf(stack);
    await darkroom.pick(await jpeg(), await corruptJpeg(), smallPng(3));
    await page.waitForFunction(() => document.querySelectorAll("#tiles .tile").length === 3);
    await open(page);
    const begun = (await shiftsSoFar(page)).length;
    for (const name of ["wide.jpg", "corrupt.jpg", "small-3.png"]) await darkroom.end(name);
    const published = (before.find(({ name }) => name === "Published")?.sum ?? 0) + 2;
    await page.locator("#metrics-published", { hasText: RegExp(`^${published}$`) }).waitFor();
    await until(async () => isDeepStrictEqual(await shown(page), expected(await metricsOf(stack))));
    const shifts = (await shiftsSoFar(page)).slice(begun);
    const moved = sumOfShifts(shifts);
    t.diagnostic(`layout shift: ${moved.toFixed(5)} while metrics change`);
    assert.ok(moved < MAX_SHIFT, JSON.stringify(shifts));
  });
}

for (const colorScheme of ["light", "dark"]) {
  for (const [width, height] of [[390, 844], [1440, 900]]) {
    const options = { colorScheme, viewport: { width, height }, reducedMotion: "reduce" };
    scenario(`everybody can use the metrics: ${colorScheme}, ${width} px wide`, options, async ({ page, stack }) => {
      const darkroom = await openDarkroom(page, stack);
      await darkroom.isListening();
      await darkroom.pick(smallPng(4));
      await darkroom.end("small-4.png");
      // By keyboard, from whatever comes before.
      await page.locator("#metrics summary").focus();
      await page.keyboard.press("Enter");
      await until(async () => isDeepStrictEqual(await shown(page), expected(await metricsOf(stack))));
      await screenshot(page, `metrics-${width}-${colorScheme}`);
      const found = await violations(page, "#metrics");
      assert.deepEqual(found.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), []);
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width);
    });
  }
}

scenario("a screen reader finds a table, whose last column says in words what its bars show", async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  await darkroom.pick(smallPng(5));
  await darkroom.end("small-5.png");
  await open(page);
  const table = page.getByRole("table", { name: "Times" });
  for (const name of ["Stage", "p50", "p99", "max", "How many took how long"]) {
    assert.equal(await table.getByRole("columnheader", { name, exact: true }).count(), 1, name);
  }
  const row = table.getByRole("row").filter({ has: page.getByRole("rowheader", { name: "Pixels PixelTime" }) });
  await row.getByRole("cell", { name: /^\d+ up to \d+ m?s/ }).waitFor();
});

/** Opens the section as a person does. */
async function open(page) {
  await page.locator("#metrics summary").click();
  await page.locator("#metrics[open]").waitFor();
}

/** What is on the page: numbers as words, and of each chart how many its bars stand for. */
function shown(page) {
  return page.evaluate(() => {
    const text = (node) => node.textContent.trim();
    const cards = ["urls", "puts", "published", "upload", "queue", "bytes"].map((id) => [id, text(document.getElementById(`metrics-${id}`))]);
    const times = [...document.querySelectorAll("#metrics-times tr")].map((row) => {
      const bars = [...row.querySelectorAll(".times-bars > *")].filter((column) => Number(column.style.getPropertyValue("--share")) > 0);
      const counted = bars.reduce((sum, { title }) => sum + Number.parseInt(title, 10), 0);
      const cells = [...row.querySelectorAll("td:not(:last-child), .times-told")];
      return [text(row.querySelector("code")), ...cells.map(text), counted];
    });
    const reasons = [...document.querySelectorAll("#metrics-reasons dd")].map((dd) => text(dd).replace(/\s+/g, " "));
    return { cards: Object.fromEntries(cards), times, reasons };
  });
}

/** What `/dev/metrics` says should be there; undefined until every time has been taken. */
function expected(metrics) {
  const of = (name) => metrics.find((metric) => metric.name === name && Object.keys(metric.dimensions).length === 1);
  if (!TIMES.every(of)) return undefined;
  const counts = Object.entries(CARDS).map(([id, name]) => [id, String(of(name)?.sum ?? 0)]);
  const cards = {
    ...Object.fromEntries(counts),
    upload: msInWords(of("UploadLag").p50),
    queue: msInWords(of("QueueAge").p50),
    bytes: bytesInWords(of("BytesIn").sum),
  };
  const times = TIMES.map((name) => {
    const { p50, p99, max, histogram } = of(name);
    const bins = histogram.filter(({ count }) => count > 0);
    const told = bins.map(({ to, count }) => `${count} up to ${msInWords(to)}`).join(", ");
    return [name, ...[p50, p99, max].map(msInWords), told, bins.reduce((sum, { count }) => sum + count, 0)];
  });
  const reasons = REASONS.map((name) => {
    const coded = metrics.filter((metric) => metric.name === name && metric.dimensions.Code).sort((a, b) => b.sum - a.sum);
    return coded.map(({ dimensions, sum }) => `${dimensions.Code} ${sum}`).join(" ") || "nothing yet";
  });
  return { cards, times, reasons };
}

async function metricsOf(stack) {
  const { metrics } = await (await fetch(`${stack.api}/dev/metrics`)).json();
  return metrics;
}

/** The page itself asks for none that it can foresee. */
async function askForRefusal(stack) {
  const { token } = await (await fetch(`${stack.api}/dev/token`)).json();
  const headers = { Authorization: `Bearer ${token}` };
  const { status } = await fetch(`${stack.api}/upload-url`, { method: "POST", headers, body: '{"contentType":"text/plain"}' });
  assert.ok(status >= 400 && status < 500);
}
