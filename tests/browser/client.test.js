// Owns what must hold of web/upload.js in a browser, from a page of another origin that has nothing but that module.

import assert from "node:assert/strict";
import { suite } from "./support/browser.js";
import { jpeg, noisyPng, sparseFile } from "./support/files.js";
import { serve } from "./support/serve.js";
import { ROOT } from "./support/stack.js";

const MAX_BYTES = 26_214_400;
const PHASES = ["preparing", "signing", "uploading", "processing"];
const notLoaded = (status) => RegExp(`console error: Failed to load resource: .*${status}`);

/** `run` uploads what was picked; it tells how that ends, and every state that was reported. */
const PAGE = `<!doctype html><title>Client</title><input type="file" id="file">
  <script type="module">
    import { upload } from "/web/upload.js";
    window.run = async ({ api, stopIn, firstToken }) => {
      const asked = [];
      const token = async ({ refresh }) => {
        asked.push(refresh);
        if (firstToken && !refresh) return firstToken;
        return (await (await fetch(api + "/dev/token")).json()).token;
      };
      const controller = new AbortController();
      const states = [];
      const onProgress = (state) => {
        states.push(state);
        if (state.phase === stopIn) controller.abort(new Error("no longer wanted"));
      };
      try {
        const manifest = await upload(document.querySelector("#file").files[0], { api, token, onProgress, signal: controller.signal });
        return { states, asked, manifest };
      } catch ({ name, message, code, limit, status, phase }) {
        return { states, asked, error: { name, message, code, limit, status, phase } };
      }
    };
  </script>`;

const origin = await serve({ folders: { "/web/": `${ROOT}web` }, texts: { "/": PAGE } });
const scenario = suite();

async function run({ page, stack }, file, options = {}) {
  await page.goto(`${origin}/`);
  await page.setInputFiles("#file", file);
  return page.evaluate((options) => window.run(options), { api: stack.api, ...options });
}

scenario("phases come in order, and every byte is counted", async (it) => {
  const file = noisyPng("noise.png", 300);
  const { states, manifest } = await run(it, file);
  const phases = states.map(({ phase }) => phase).filter((phase, at, all) => phase !== all[at - 1]);
  assert.deepEqual(phases, [...PHASES, "ready"]);
  assert.ok(states.every(({ total }) => total === file.buffer.length));
  const loaded = states.map(({ loaded }) => loaded);
  assert.deepEqual(loaded, [...loaded].sort((a, b) => a - b));
  assert.equal(loaded.at(-1), file.buffer.length);
  assert.equal(states.at(-1).manifest.source.key, manifest.source.key);
});

for (const phase of PHASES) {
  scenario(`an abort while ${phase} ends it with the signal's reason, and nothing is heard any more`, async (it) => {
    const { states, error } = await run(it, await jpeg(), { stopIn: phase });
    assert.equal(error.message, "no longer wanted");
    assert.equal(states.at(-1).phase, phase);
  });
}

scenario("a token that is refused is asked for anew, once", { expected: [notLoaded(401)] }, async (it) => {
  const { asked, manifest } = await run(it, await jpeg(), { firstToken: "expired" });
  assert.equal(manifest.status, "ready");
  assert.deepEqual(asked.slice(0, 2), [false, true]);
});

scenario("a page that knows no limits hears the server's, before a byte is sent", { expected: [notLoaded(413)] }, async (it) => {
  const sent = [];
  it.page.on("request", (request) => request.url().startsWith(it.stack.s3) && sent.push(request.url()));
  const { error } = await run(it, await sparseFile("huge.jpg", MAX_BYTES + 1));
  const { code, limit, status, phase } = error;
  assert.deepEqual({ code, limit, status, phase }, { code: "payload_too_large", limit: MAX_BYTES, status: 413, phase: "rejected" });
  assert.deepEqual(sent, []);
});
