// Owns what must hold of the page that the stack serves, as somebody who uploads with it sees it.

import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { suite, until } from "./support/browser.js";
import { assertAllLoad, openDarkroom, statusOf } from "./support/darkroom-page.js";
import { CORPUS, avif, corruptJpeg, gif, jpeg, noisyPng, smallPng, sparseFile, webp } from "./support/files.js";
import { loseAnswers, pace } from "./support/network.js";

const MAX_BYTES = 26_214_400;
const SENT_AT_ONCE = 4;
const MANY = 200;
const MANY_TAKE_MS = 200_000;
const SLOW_BYTES_PER_SECOND = 200_000;
/** Chromium writes each request that fails or is refused to the console, whatever the page makes of it. */
const notLoaded = (why) => RegExp(`console error: Failed to load resource: .*${why}`);

const scenario = suite();

scenario("JPEG, PNG, WebP, GIF and AVIF become ready, and every rendition loads", async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  const files = [await jpeg(), smallPng(1), await webp(), await gif(), await avif()];
  await darkroom.pick(...files);
  for (const { name, mimeType } of files) {
    assert.deepEqual(await darkroom.end(name), { phase: "ready", sentence: "", code: "" });
    await darkroom.open(name);
    const manifest = await darkroom.manifest();
    assert.equal(manifest.source.contentType, mimeType);
    assert.equal(await page.locator("#detail-rows button").count(), manifest.renditions.length);
    await assertAllLoad(page, stack, manifest);
    await page.locator("#detail-close").click();
  }
});

const withoutCorpus = CORPUS ? false : "there is no ../shared/corpus beside this checkout";
scenario("real photos become ready", { skip: withoutCorpus }, async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  const names = (await readdir(`${CORPUS}/photos`)).filter((name) => name.endsWith(".jpg"));
  await darkroom.pick(...names.map((name) => `${CORPUS}/photos/${name}`));
  for (const name of names) {
    assert.equal((await darkroom.end(name)).phase, "ready");
    await darkroom.open(name);
    await assertAllLoad(page, stack, await darkroom.manifest());
    await page.locator("#detail-close").click();
  }
});

// What is refused

scenario("a file of another type is refused with its reason, and not a byte of it is sent", async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  await darkroom.pick(
    { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no photo") },
    { name: "logo.svg", mimeType: "image/svg+xml", buffer: Buffer.from("<svg xmlns='http://www.w3.org/2000/svg'/>") },
  );
  for (const name of ["notes.txt", "logo.svg"]) {
    const { phase, sentence, code } = await darkroom.end(name);
    assert.deepEqual([phase, code], ["rejected", "unsupported_type"]);
    assert.match(sentence, /JPEG/);
  }
  assert.equal(darkroom.puts.length, 0);
});

scenario("a file over the server's limit is refused with that limit, and not a byte of it is sent", async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  await darkroom.pick(await sparseFile("huge.jpg", MAX_BYTES + 1));
  const { phase, sentence, code } = await darkroom.end("huge.jpg");
  assert.deepEqual([phase, code], ["rejected", "payload_too_large"]);
  assert.match(sentence, /26214400|25 MB/);
  assert.equal(darkroom.puts.length, 0);
});

scenario("a corrupt file is rejected with the worker's reason, and its neighbour is not", async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  await darkroom.pick(await corruptJpeg(), await jpeg());
  const { phase, sentence, code } = await darkroom.end("corrupt.jpg");
  assert.deepEqual([phase, code], ["rejected", "corrupt"]);
  assert.match(sentence, /^[A-Z].*\.$/);
  assert.equal((await darkroom.end("wide.jpg")).phase, "ready");
});

scenario("a HEIC that the browser can decode is sent as a JPEG", async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  // Chromium decodes no HEIC; it goes by the bytes, and these are a PNG's.
  await darkroom.pick({ ...smallPng(2), name: "photo.heic", mimeType: "image/heic" });
  assert.equal((await darkroom.end("photo.heic")).phase, "ready");
  assert.equal(darkroom.puts[0].headers()["content-type"], "image/jpeg");
  await darkroom.open("photo.heic");
  assert.equal((await darkroom.manifest()).source.contentType, "image/jpeg");
});

scenario("a HEIC that the browser cannot decode is refused, and not a byte of it is sent", async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  await darkroom.pick({ name: "photo.heic", mimeType: "image/heic", buffer: Buffer.from("....ftypheic") });
  const { phase, code } = await darkroom.end("photo.heic");
  assert.deepEqual([phase, code], ["rejected", "unsupported_type"]);
  assert.equal(darkroom.puts.length, 0);
});

// What goes wrong on the way

scenario("stopped while it is sent, a photo is not published, and can be tried again", async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  const setPace = await pace(page, SLOW_BYTES_PER_SECOND);
  await darkroom.pick(noisyPng("big.png", 600));
  await partlySent(darkroom, "big.png");
  const broken = page.waitForEvent("requestfailed", (request) => request === darkroom.puts[0]);
  await page.getByRole("button", { name: "Stop: big.png" }).click();
  await broken;
  assert.equal((await darkroom.end("big.png")).phase, "stopped");
  assert.equal(await statusOf(stack, darkroom.puts[0].url()), "awaiting_upload");
  await setPace();
  await page.getByRole("button", { name: "Try again: big.png" }).click();
  await darkroom.inPhase("big.png", "ready");
});

const cut = { cable: true, expected: [notLoaded("ERR_")] };
scenario("a network that is cut while a photo is sent only delays it", cut, async ({ page, stack, cable }) => {
  const darkroom = await openDarkroom(page, stack);
  const setPace = await pace(page, SLOW_BYTES_PER_SECOND);
  await darkroom.pick(noisyPng("big.png", 600));
  await partlySent(darkroom, "big.png");
  const broken = page.waitForEvent("requestfailed", (request) => request === darkroom.puts[0]);
  cable.cut();
  await broken;
  cable.mend();
  await setPace();
  await darkroom.inPhase("big.png", "ready");
  assert.deepEqual(new Set(darkroom.puts.map((put) => put.url())).size, 1);
  assert.ok(darkroom.puts.length > 1);
});

const lost = { expected: [notLoaded("ERR_CONNECTION_RESET"), notLoaded("412")] };
scenario("a photo that arrived counts as uploaded when only the answer got lost", lost, async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  const answersLost = await loseAnswers(page, { method: "PUT", to: stack.s3 });
  await darkroom.pick(smallPng(3, "lost.png"));
  await darkroom.inPhase("lost.png", "ready");
  assert.equal(answersLost(), 1);
  assert.equal(darkroom.puts.length, 2);
});

const late = { flags: ["--url-expiry", "4"], expected: [notLoaded("403"), notLoaded("404")] };
scenario("a URL that expired before the photo arrived is replaced by a new one", late, async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  let held = 0;
  await page.route(`${stack.s3}/**`, async (route) => {
    const isFirst = route.request().method() === "PUT" && held++ === 0;
    if (isFirst) await until(() => Date.now() > expiryOf(route.request().url()));
    await route.continue();
  });
  await darkroom.pick(smallPng(4, "late.png"));
  await darkroom.inPhase("late.png", "ready");
  const [first, second] = darkroom.puts;
  assert.equal((await first.response()).status(), 403);
  assert.notEqual(first.url(), second.url());
  assert.equal(darkroom.puts.length, 2);
});

scenario(`${MANY} photos at once all become ready, at most ${SENT_AT_ONCE} on their way`, async ({ page, stack }) => {
  await page.addInitScript(() => {
    window.onTheirWay = { now: 0, most: 0 };
    const { send } = XMLHttpRequest.prototype;
    XMLHttpRequest.prototype.send = function (...body) {
      window.onTheirWay.now += 1;
      window.onTheirWay.most = Math.max(window.onTheirWay.most, window.onTheirWay.now);
      this.addEventListener("loadend", () => (window.onTheirWay.now -= 1));
      return send.apply(this, body);
    };
  });
  const darkroom = await openDarkroom(page, stack);
  await darkroom.pick(...Array.from({ length: MANY }, (_, seed) => smallPng(seed)));
  await page.waitForFunction((many) => document.querySelectorAll('#tiles [data-phase="ready"]').length === many, MANY, {
    timeout: MANY_TAKE_MS,
  });
  const { most } = await page.evaluate(() => window.onTheirWay);
  assert.equal(most, SENT_AT_ONCE);
  assert.equal(new Set(darkroom.puts.map((put) => put.url())).size, MANY);
});

scenario("after a reload a photo that is being processed comes back, and becomes ready", async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  let answer;
  const answered = new Promise((resolve) => (answer = resolve));
  await page.route(`${stack.api}/uploads/**`, async (route) => {
    await answered;
    await route.continue().catch(() => {}); // of the page that is gone
  });
  await darkroom.pick(await jpeg());
  await darkroom.inPhase("wide.jpg", "processing");
  await page.reload();
  await darkroom.inPhase("wide.jpg", "processing");
  answer();
  await darkroom.inPhase("wide.jpg", "ready");
  await darkroom.open("wide.jpg");
  await assertAllLoad(page, stack, await darkroom.manifest());
  assert.equal(darkroom.puts.length, 1);
  await page.reload();
  await page.locator("body.is-empty").waitFor();
});

// What the page tells

scenario("the live panel counts what becomes ready and what is rejected", async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  await page.locator('#live [data-count="ready"]', { hasText: /^\d+$/ }).waitFor();
  const [ready, rejected] = [await darkroom.count("ready"), await darkroom.count("rejected")];
  await darkroom.pick(smallPng(5), await corruptJpeg(), smallPng(6));
  await darkroom.untilCount("ready", ready + 2);
  await darkroom.untilCount("rejected", rejected + 1);
  await darkroom.untilCount("waiting", 0);
  await darkroom.untilCount("inFlight", 0);
});

scenario("the live panel shows what waits for a worker", { flags: ["--no-worker"] }, async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  await darkroom.untilCount("waiting", 0);
  await darkroom.pick(smallPng(7), smallPng(8));
  await darkroom.untilCount("waiting", 2);
  await darkroom.inPhase("small-7.png", "processing");
  await darkroom.untilCount("ready", 0);
});

scenario("a screen reader hears what was added and how it ended", async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  await darkroom.pick(smallPng(9, "nine.png"));
  await page.locator("#announcer", { hasText: "1 photo added" }).waitFor();
  await page.locator("#announcer", { hasText: "nine.png: ready" }).waitFor();
});

scenario("by keyboard alone: pick, open, compare, copy, close, and the focus is back", async ({ page, context, stack }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: stack.api });
  const darkroom = await openDarkroom(page, stack);
  const chooser = page.waitForEvent("filechooser");
  await tabTo(page, "#files");
  await page.keyboard.press("Enter");
  await (await chooser).setFiles([await jpeg()]);
  await darkroom.inPhase("wide.jpg", "ready");

  await tabTo(page, '[aria-label="wide.jpg: show renditions"]');
  await page.keyboard.press("Enter");
  await page.locator("#detail[open]").waitFor();
  const divide = () => page.locator("#compare").evaluate((range) => Number(range.value));
  const middle = await divide();
  await tabTo(page, "#compare");
  await page.keyboard.press("ArrowRight");
  assert.ok((await divide()) > middle);
  await page.keyboard.press("Home");
  assert.equal(await divide(), 0);
  await tabTo(page, "#compare-right");
  const shown = () => page.locator("#compare-right-side img").getAttribute("src");
  const before = await shown();
  await page.keyboard.press("ArrowUp");
  await page.waitForFunction((before) => document.querySelector("#compare-right-side img").src !== before, before);
  await tabTo(page, "#detail-copy");
  await page.keyboard.press("Enter");
  await page.locator("#detail-copy", { hasText: "Copied" }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, await page.locator("#detail-snippet").textContent());
  await tabTo(page, "#detail-close");
  await page.keyboard.press("Enter");
  await page.locator("#detail:not([open])").waitFor({ state: "attached" });
  assert.equal(await focused(page), "wide.jpg: show renditions");
});

scenario("the HTML to copy shows the photo", async ({ page, stack, context }) => {
  const darkroom = await openDarkroom(page, stack);
  await darkroom.pick(await jpeg());
  await darkroom.inPhase("wide.jpg", "ready");
  await darkroom.open("wide.jpg");
  const html = await page.locator("#detail-snippet").textContent();
  const site = await context.newPage();
  await site.setContent(html);
  const { naturalWidth, complete, width, height } = await site.locator("img").evaluate(async (image) => {
    await image.decode();
    const { naturalWidth, complete } = image;
    return { naturalWidth, complete, width: image.getAttribute("width"), height: image.getAttribute("height") };
  });
  assert.ok(complete && naturalWidth > 0);
  assert.ok(Math.abs(width / height - 3) < 0.01, `${width} x ${height}`);
});

scenario("photos can be dropped and pasted", async ({ page, stack }) => {
  const darkroom = await openDarkroom(page, stack);
  await darkroom.isListening();
  const bytes = [...smallPng(10).buffer];
  for (const [type, name] of [["drop", "dropped.png"], ["paste", "pasted.png"]]) {
    await page.evaluate(
      ([bytes, type, name]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
        const event = type === "drop" ? new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true })
          : new ClipboardEvent(type, { clipboardData: data, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);
      },
      [bytes, type, name],
    );
    await darkroom.inPhase(name, "ready");
  }
});

/** Some of it is sent, not all of it. */
function partlySent(darkroom, name) {
  return until(async () => Number(await darkroom.tile(name).getByRole("progressbar").getAttribute("aria-valuenow")) > 10);
}

/** When a presigned URL ends, ms since 1970, with a second to be sure. */
function expiryOf(url) {
  const query = new URL(url).searchParams;
  const [date, time] = query.get("X-Amz-Date").replace("Z", "").split("T");
  const iso = `${date.replace(/(....)(..)(..)/, "$1-$2-$3")}T${time.replace(/(..)(..)(..)/, "$1:$2:$3")}Z`;
  return Date.parse(iso) + (Number(query.get("X-Amz-Expires")) + 1) * 1000;
}

async function tabTo(page, selector) {
  const isThere = () => page.evaluate((selector) => document.activeElement.matches(selector), selector);
  for (let presses = 0; !(await isThere()); presses += 1) {
    assert.ok(presses < 100, `the Tab key does not lead to ${selector}`);
    await page.keyboard.press("Tab");
  }
}

function focused(page) {
  return page.evaluate(() => document.activeElement.getAttribute("aria-label"));
}
