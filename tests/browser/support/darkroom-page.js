// Owns how tests see and drive the page that the stack serves: by its stable names, as a person does by eye and hand.

import assert from "node:assert/strict";

const ENDED = ["ready", "rejected", "failed", "stopped"].map((phase) => `[data-phase="${phase}"]`).join(",");

/** Opens the page and tells how to use it. */
export async function openDarkroom(page, stack) {
  const puts = [];
  page.on("request", (request) => {
    if (request.method() === "PUT" && request.url().startsWith(stack.s3)) puts.push(request);
  });
  await page.goto(`${stack.api}/`);
  const tile = (name) => page.locator(`#tiles li.tile[data-name="${name}"]`);
  return {
    /** Every PUT to storage so far. */
    puts,
    tile,
    /** Its script runs, which the page lets wait until it is painted. */
    isListening: () => page.locator('#live[data-link="live"]').waitFor(),
    pick: (...files) => page.setInputFiles("#files", files),
    inPhase: (name, phase) => tile(name).and(page.locator(`[data-phase="${phase}"]`)).waitFor(),
    /** How it ends: `{phase, sentence, code}`, each as it is on the screen. */
    end: async (name) => {
      await tile(name).and(page.locator(ENDED)).waitFor();
      return tile(name).evaluate((node) => ({
        phase: node.dataset.phase,
        sentence: node.querySelector(".tile-sentence").innerText,
        code: node.querySelector(".tile-code").innerText,
      }));
    },
    open: (name) => page.getByRole("button", { name: `${name}: show renditions` }).click(),
    manifest: async () => JSON.parse(await page.locator("#detail-manifest").textContent()),
    count: async (name) => Number(await page.locator(`#live [data-count="${name}"]`).textContent()),
    untilCount: (name, number) => page.locator(`#live [data-count="${name}"]`, { hasText: RegExp(`^${number}$`) }).waitFor(),
  };
}

/** Fails unless this browser, under the page's own policy, loads and decodes every rendition, in the size that is promised. */
export async function assertAllLoad(page, stack, { renditions }) {
  assert.ok(renditions.length > 0);
  const wanted = renditions.map(({ key, width, height }) => ({ url: `${stack.cdn}/${key}`, width, height }));
  const loaded = await page.evaluate(
    (wanted) =>
      Promise.all(
        wanted.map(async ({ url }) => {
          const image = new Image();
          image.src = url;
          await image.decode();
          return { url, width: image.naturalWidth, height: image.naturalHeight };
        }),
      ),
    wanted,
  );
  assert.deepEqual(loaded, wanted);
}

/** What the API says of an upload, by the URL its bytes were sent to. */
export async function statusOf(stack, uploadUrl) {
  const { token } = await (await fetch(`${stack.api}/dev/token`)).json();
  const key = new URL(uploadUrl).pathname.replace("/darkroom/", "");
  const answer = await fetch(`${stack.api}/uploads/${key}`, { headers: { Authorization: `Bearer ${token}` } });
  return (await answer.json()).status;
}
