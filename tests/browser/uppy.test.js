// Owns what must hold of web/uppy.js with the packages that Uppy publishes, of version 5 and of version 6.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { suite } from "./support/browser.js";
import { corruptJpeg, jpeg, noisyPng, smallPng } from "./support/files.js";
import { loseAnswers } from "./support/network.js";
import { serve } from "./support/serve.js";
import { ROOT } from "./support/stack.js";

const PACKAGES = {
  5: { "@uppy/core": "uppy5-core", "@uppy/aws-s3": "uppy5-aws-s3" },
  6: {},
};
/** Uppy writes what goes wrong to the console, and Chromium what was not answered. */
const UPPY_TELLS = /console error: \[Uppy\]/;
const NOT_LOADED = /console error: Failed to load resource/;
/** Version 6 asks for a header of a refusal that S3's answers to other origins do not show. */
const ASKS_FOR_CODE = /console error: Refused to get unsafe header "x-amz-error-code"/;

/** A page with Uppy as somebody would write it; the test drives it by `window.uppy` and the file input. */
const APP = `
  import Uppy from "@uppy/core";
  import AwsS3 from "@uppy/aws-s3";
  import { darkroom } from "/web/uppy.js";

  const uppy = (window.uppy = new Uppy());
  window.install = (api, options) => {
    const token = async () => (await (await fetch(api + "/dev/token?sub=uppy")).json()).token;
    uppy.use(AwsS3, darkroom(uppy, { api, token, ...options }));
  };
  window.start = (api, options) => {
    window.install(api, options);
    document.querySelector("#files").addEventListener("change", ({ target }) => uppy.addFiles([...target.files]));
    window.told = [];
    for (const event of ["upload-success", "postprocess-progress", "upload-error", "postprocess-complete"]) {
      uppy.on(event, (file, more) => window.told.push([file.name, event, more?.code].filter(Boolean).join(" ")));
    }
  };
  window.ends = ({ successful, failed }) => [...successful, ...failed].map(({ name, error, response }) =>
    ({ name, error, ...response?.body }));`;

const bundle = async (version) => {
  const { outputFiles } = await build({
    stdin: { contents: APP, resolveDir: fileURLToPath(new URL(".", import.meta.url)) },
    alias: PACKAGES[version],
    bundle: true,
    format: "esm",
    external: ["/web/*"],
    write: false,
  });
  return outputFiles[0].text;
};
const page = (version) => `<!doctype html><title>Uppy</title><input type="file" id="files" multiple>
  <script type="module" src="/uppy${version}.js"></script>`;

const origin = await serve({
  folders: { "/web/": `${ROOT}web` },
  texts: { "/5/": page(5), "/6/": page(6), "/uppy5.js": await bundle(5), "/uppy6.js": await bundle(6) },
});
const scenario = suite();

async function open({ page, stack }, version, options) {
  await page.goto(`${origin}/${version}/`);
  await page.evaluate(([api, options]) => window.start(api, options), [stack.api, options]);
  return {
    pick: (...files) => page.setInputFiles("#files", files),
    upload: () => page.evaluate(async () => window.ends(await window.uppy.upload())),
    told: () => page.evaluate(() => window.told),
  };
}

const isPut = (request) => request.method() === "PUT" || request.method() === "POST";
const sentTo = (page, address) => {
  const sent = [];
  page.on("request", (request) => isPut(request) && request.url().startsWith(address) && sent.push(request));
  return sent;
};

for (const version of [5, 6]) {
  for (const method of ["POST", "PUT"]) {
    scenario(`Uppy ${version} uploads by ${method} and has the manifest on the file`, async (it) => {
      const sent = sentTo(it.page, it.stack.s3);
      const app = await open(it, version, { method });
      await app.pick(await jpeg("a.jpg"), smallPng(1, "b.png"));
      const [a, b] = await app.upload();
      assert.deepEqual([a.name, a.manifest.status, b.name, b.manifest.status], ["a.jpg", "ready", "b.png", "ready"]);
      assert.equal(a.manifest.source.key, a.key);
      assert.ok(a.location.endsWith(a.key), a.location);
      assert.deepEqual(sent.map((request) => request.method()), [method, method]);
      const told = (await app.told()).filter((line) => line.startsWith("a.jpg"));
      assert.deepEqual(told, ["a.jpg upload-success", "a.jpg postprocess-progress", "a.jpg postprocess-complete"]);
    });

    const saysWhy = { expected: [UPPY_TELLS] };
    scenario(`Uppy ${version} says by ${method} why a file is rejected, and keeps the others`, saysWhy, async (it) => {
      const app = await open(it, version, { method });
      await app.pick(await corruptJpeg(), smallPng(2, "good.png"));
      const [good, corrupt] = await app.upload();
      assert.equal(good.manifest.status, "ready");
      assert.equal(corrupt.code, "corrupt");
      assert.match(corrupt.error, /^[A-Z].+\.$/);
      assert.ok((await app.told()).includes("corrupt.jpg upload-error corrupt"));
    });
  }

  scenario(`Uppy ${version} has a file ready while another is still being sent`, async (it) => {
    let sendOn;
    const held = new Promise((resolve) => (sendOn = resolve));
    await it.page.route(`${it.stack.s3}/**`, async (route) => {
      if (route.request().headers()["content-type"] === "image/png") await held;
      await route.continue();
    });
    const app = await open(it, version, { method: "PUT" });
    await app.pick(await jpeg("quick.jpg"), smallPng(8, "slow.png"));
    const ended = app.upload();
    await it.page.waitForFunction(() => window.told.includes("quick.jpg postprocess-complete"));
    assert.ok(!(await app.told()).includes("slow.png upload-success"));
    sendOn();
    assert.deepEqual((await ended).map(({ manifest }) => manifest.status), ["ready", "ready"]);
  });

  const again = { expected: [UPPY_TELLS] };
  scenario(`Uppy ${version} sends a file anew on a retry after it was rejected`, again, async (it) => {
    const sent = sentTo(it.page, it.stack.s3);
    const app = await open(it, version, { method: "PUT" });
    await app.pick(await corruptJpeg());
    await app.upload();
    await it.page.evaluate(() => window.uppy.retryAll());
    assert.equal(new Set(sent.map((request) => request.url())).size, 2);
  });

  const refused = { expected: [UPPY_TELLS, NOT_LOADED] };
  scenario(`Uppy ${version} says why a file is refused, before a byte of it is sent`, refused, async (it) => {
    const sent = sentTo(it.page, it.stack.s3);
    const app = await open(it, version);
    await app.pick({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no photo") });
    const [{ code, error }] = await app.upload();
    assert.equal(code, "unsupported_type");
    assert.match(error, /image\/jpeg/);
    assert.equal(sent.length, 0);
  });

  const cut = { expected: [UPPY_TELLS, NOT_LOADED, ...(version === 6 ? [ASKS_FOR_CODE] : [])] };
  scenario(`Uppy ${version} retries to the same key when an answer got lost`, cut, async (it) => {
    const sent = sentTo(it.page, it.stack.s3);
    const app = await open(it, version, { method: "PUT" });
    const lost = await loseAnswers(it.page, { method: "PUT", to: it.stack.s3 });
    await app.pick(smallPng(3, "lost.png"));
    await app.upload();
    const [{ manifest, key }] = await it.page.evaluate(async () => {
      await window.uppy.retryAll();
      return window.ends({ successful: window.uppy.getFiles(), failed: [] });
    });
    assert.equal(lost(), 1);
    assert.equal(manifest.source.key, key);
    assert.equal(new Set(sent.map((request) => request.url())).size, 1);
    assert.ok(sent.length >= 2);
  });

  for (const [moment, part] of Object.entries({ signed: "api", sent: "s3", processed: "api" })) {
    scenario(`Uppy ${version} stops what is under way for a file that is removed while it is ${moment}`, async (it) => {
      const path = { signed: "/upload-url", sent: "/**", processed: "/uploads/**" }[moment];
      await it.page.route(it.stack[part] + path, () => {}); // it is never answered
      const app = await open(it, version, { method: "PUT" });
      await app.pick(smallPng(6, "unwanted.png"));
      const isHeld = (request) => request.url().startsWith(it.stack[part] + path.replace("**", ""));
      const begins = it.page.waitForRequest(isHeld);
      const fails = it.page.waitForEvent("requestfailed", isHeld);
      const ended = app.upload();
      await begins;
      await it.page.evaluate(() => window.uppy.removeFile(window.uppy.getFiles()[0].id));
      await fails;
      assert.deepEqual(await ended, []);
      assert.ok(!(await app.told()).some((line) => line.includes("error")));
    });
  }

  scenario(`Uppy ${version} leaves nothing behind of a plugin that is removed`, async (it) => {
    const app = await open(it, version, { method: "PUT" });
    await it.page.evaluate((api) => {
      window.uppy.iteratePlugins((plugin) => window.uppy.removePlugin(plugin));
      window.install(api, { method: "PUT" });
    }, it.stack.api);
    await app.pick(smallPng(7, "once.png"));
    const [{ manifest }] = await app.upload();
    assert.equal(manifest.status, "ready");
    assert.deepEqual(await app.told(), ["upload-success", "postprocess-progress", "postprocess-complete"].map((it) => `once.png ${it}`));
  });

  scenario(`Uppy ${version} refuses at the picker what exceeds the limits that the page knows`, async (it) => {
    const app = await open(it, version, { limits: { maxBytes: 20_000, contentTypes: ["image/png"] } });
    await app.pick(await jpeg(), noisyPng("large.png", 100), smallPng(4, "fits.png"));
    assert.deepEqual(await it.page.evaluate(() => window.uppy.getFiles().map(({ name }) => name)), ["fits.png"]);
  });
}

scenario("Uppy 6 sends a form again by itself when the answer got lost", { expected: [NOT_LOADED] }, async (it) => {
  const app = await open(it, 6);
  const lost = await loseAnswers(it.page, { method: "POST", to: it.stack.s3 });
  await app.pick(smallPng(5, "lost.png"));
  const [{ manifest }] = await app.upload();
  assert.equal(manifest.status, "ready");
  assert.equal(lost(), 1);
});
