// Owns that the examples are built as their READMEs say, and work in a browser against the real stack.

import assert from "node:assert/strict";
import { suite } from "./support/browser.js";
import { buildExample } from "./support/examples.js";
import { corruptJpeg, jpeg, noisyPng, smallPng } from "./support/files.js";
import { pace } from "./support/network.js";
import { serve } from "./support/serve.js";
import { ROOT } from "./support/stack.js";

const SLOW_BYTES_PER_SECOND = 100_000;

const scenario = suite();

const plain = async ({ stack }) => ({ root: ROOT, path: `/examples/plain/?api=${stack.api}` });
const react = async ({ stack }) => ({ root: await buildExample("react", stack.api), path: "/" });

for (const [name, example] of Object.entries({ plain, react })) {
  scenario(`examples/${name} uploads a photo, says why one is rejected, and stops when told to`, async (it) => {
    const { page } = it;
    const { root, path } = await example(it);
    const origin = await serve({ folders: { "/": root } });
    await page.goto(origin + path);
    const status = (words) => page.getByRole("status").filter({ hasText: words }).waitFor();

    await page.setInputFiles("input[type=file]", await jpeg());
    await status("Ready.");
    await assertShown(page.locator("figure img"), 3);
    await page.getByText("2400 × 800 px, 10 renditions").waitFor();

    await page.setInputFiles("input[type=file]", await corruptJpeg());
    await status("This file is not accepted.");
    assert.match(await page.getByRole("alert").innerText(), /^corrupt\s+The JPEG file is damaged/);

    const setPace = await pace(page, SLOW_BYTES_PER_SECOND);
    await page.setInputFiles("input[type=file]", noisyPng("big.png", 400));
    await status("Sending…");
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("region", { name: "Upload" }).waitFor({ state: "hidden" });
    await setPace();
    await page.setInputFiles("input[type=file]", smallPng(1));
    await status("Ready.");
  });
}

scenario("examples/redux uploads many photos, says why one is rejected, and removes one", async ({ page, stack }) => {
  const origin = await serve({ folders: { "/": await buildExample("redux", stack.api) } });
  await page.goto(`${origin}/`);
  await page.setInputFiles("input[type=file]", [await jpeg(), await corruptJpeg(), smallPng(1, "one.png"), smallPng(2, "two.png")]);
  await page.getByText("3 of 4 ready").waitFor();
  assert.match(await page.getByRole("alert").innerText(), /^corrupt\s+The JPEG file is damaged/);
  await assertShown(page.getByAltText("The photo wide.jpg"), 3);

  await page.getByRole("button", { name: "Remove one.png" }).click();
  await page.getByText("2 of 3 ready").waitFor();
  await pace(page, SLOW_BYTES_PER_SECOND);
  await page.setInputFiles("input[type=file]", noisyPng("big.png", 400));
  await page.getByRole("button", { name: "Cancel big.png" }).click();
  await page.getByText("big.png").waitFor({ state: "detached" });
});

/** It is loaded, in these proportions but for rounding, and its attributes say so before it is. */
async function assertShown(image, ratio) {
  const { loaded, attributes } = await image.evaluate(async (node) => {
    await node.decode();
    return { loaded: node.naturalWidth / node.naturalHeight, attributes: node.getAttribute("width") / node.getAttribute("height") };
  });
  for (const one of [loaded, attributes]) assert.ok(Math.abs(one - ratio) < 0.05, `${one}`);
}
