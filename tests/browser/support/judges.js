// Owns how a page is judged: by what moves without being asked to, and by axe-core. How much is too much is the tests' affair,
// but for layout shift, where it is the same everywhere.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Less than a hundredth of what is called good: words at the right edge that change count as moved, for their left one has. */
export const MAX_SHIFT = 0.002;

/** Notes layout shifts of the page that is opened next. */
export function watchShifts(page) {
  return page.addInitScript(() => {
    window.shifts = [];
    const note = ({ value, sources }) => window.shifts.push({ value, of: sources.map(({ node }) => node?.outerHTML?.slice(0, 80)) });
    new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type: "layout-shift", buffered: true });
  });
}

/** After two frames, in which everything that has changed is laid out, and reported. */
export function shiftsSoFar(page) {
  return page.evaluate(async () => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    await frame();
    await frame();
    return window.shifts;
  });
}

export function sumOfShifts(shifts) {
  return shifts.reduce((total, { value }) => total + value, 0);
}

/** What axe-core finds wrong with the page, or with one part of it. */
export async function violations(page, part) {
  // By the debugger: the page's policy lets no script in.
  await page.evaluate(axe);
  const found = await page.evaluate((part) => window.axe.run(part ?? document, { resultTypes: ["violations"] }), part);
  return found.violations;
}
