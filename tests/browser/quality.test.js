// Owns what the page weighs, how it holds still, whether everybody can use it, and how it looks: `target/browser` has the
// pictures.

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { screenshot, suite } from "./support/browser.js";
import { openDarkroom } from "./support/darkroom-page.js";
import { CORPUS, avif, corruptJpeg, gif, jpeg, smallPng, webp } from "./support/files.js";
import { MAX_SHIFT, shiftsSoFar, sumOfShifts, violations, watchShifts } from "./support/judges.js";

const MAX_PAGE_BYTES = 60 * 1024;
const SERIOUS = ["serious", "critical"];

const scenario = suite();

scenario("the page weighs at most 60 KB without images, gzipped", async ({ page, stack, t }) => {
  const texts = [];
  page.on("response", (response) => {
    const isText = !["image", "eventsource"].includes(response.request().resourceType());
    if (isText && response.url().startsWith("http")) texts.push(response);
  });
  const darkroom = await openDarkroom(page, stack);
  await darkroom.isListening();
  const weights = await Promise.all(texts.map(async (response) => gzipSync(await response.body(), { level: 6 }).length));
  const bytes = weights.reduce((sum, weight) => sum + weight, 0);
  t.diagnostic(`${bytes} bytes gzipped in ${texts.length} files`);
  assert.ok(texts.length > 3);
  assert.ok(bytes <= MAX_PAGE_BYTES, `${bytes} bytes`);
});

// Only printed: how long something takes here says nothing about the page, and no test is about time.
scenario("the first contentful paint is told", async ({ page, stack, t }) => {
  await openDarkroom(page, stack);
  const paints = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const observer = new PerformanceObserver((list) => {
          const paint = list.getEntriesByName("first-contentful-paint")[0];
          if (paint) resolve(paint.startTime);
        });
        observer.observe({ type: "paint", buffered: true });
      }),
  );
  t.diagnostic(`first contentful paint after ${Math.round(paints)} ms`);
  assert.ok(paints > 0);
});

for (const [width, height] of [[390, 844], [1440, 900]]) {
  scenario(`nothing moves while photos become ready, ${width} px wide`, { viewport: { width, height } }, async (it) => {
    const { page, stack, t } = it;
    await watchShifts(page);
    const darkroom = await openDarkroom(page, stack);
    await darkroom.isListening();
    const opening = await shiftsSoFar(page);
    // Choosing photos changes the page by intent; what comes after must not.
    const files = [await jpeg(), await webp(), await gif(), await avif(), smallPng(1), await corruptJpeg()];
    await darkroom.pick(...files);
    await page.waitForFunction((many) => document.querySelectorAll("#tiles .tile").length === many, files.length);
    const begun = (await shiftsSoFar(page)).length;
    for (const { name } of files) await darkroom.end(name);
    await thumbsLoaded(page);
    const shifts = (await shiftsSoFar(page)).slice(begun);
    t.diagnostic(`layout shift: ${inWords(opening)} while opening, ${inWords(shifts)} while photos become ready`);
    for (const moved of [opening, shifts]) assert.ok(sumOfShifts(moved) < MAX_SHIFT, JSON.stringify(moved));
  });
}

for (const colorScheme of ["light", "dark"]) {
  for (const [width, height] of [[390, 844], [1440, 900]]) {
    const options = { colorScheme, viewport: { width, height }, reducedMotion: "reduce" };
    scenario(`everybody can use it and it looks right: ${colorScheme}, ${width} px wide`, options, async ({ page, stack }) => {
      const look = async (state) => {
        await screenshot(page, `${state}-${width}-${colorScheme}`);
        await assertAccessible(page, state);
      };
      const darkroom = await openDarkroom(page, stack);
      await darkroom.isListening();
      await look("empty");

      const photos = CORPUS ? ["p12_iphone11_o6_p3.jpg", "p20_kleiber_real.jpg"] : [];
      await darkroom.pick(...photos.map((name) => `${CORPUS}/photos/${name}`));
      for (const name of photos) await darkroom.end(name);
      const files = [await jpeg(), await webp(), await gif(), await corruptJpeg("a photo that was cut off.jpg")];
      await darkroom.pick(...files);
      for (const { name } of files) await darkroom.end(name);
      await thumbsLoaded(page);
      await look("finished");

      await darkroom.open(photos.at(-1) ?? "wide.jpg");
      await page.waitForFunction(() => document.querySelectorAll("#compare-stage img").length === 2);
      await look("dialog");
      await page.locator("#detail .manifest summary").click();
      await page.locator("#detail-manifest").scrollIntoViewIfNeeded();
      await look("dialog-manifest");
      await assertFits(page, width);
    });
  }
}

/** No problem of those that keep somebody from using the page. */
async function assertAccessible(page, state) {
  const found = await violations(page);
  const problems = found.filter(({ impact }) => SERIOUS.includes(impact));
  const told = problems.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ html, failureSummary }) => [html, failureSummary]) }));
  assert.deepEqual(told, [], `axe-core finds problems on the ${state} page`);
}

/** Nothing is cut off at the side, or has to be scrolled for sideways. */
async function assertFits(page, width) {
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width);
}

async function thumbsLoaded(page) {
  await page.evaluate(async () => {
    const images = [...document.querySelectorAll("#tiles img")];
    for (const image of images) image.loading = "eager";
    await Promise.all(images.map((image) => image.decode()));
  });
}

function inWords(shifts) {
  return sumOfShifts(shifts).toFixed(5);
}
