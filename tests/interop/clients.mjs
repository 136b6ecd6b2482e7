// What a front end may upload with that uses no library: `fetch` and `FormData`, in Node and in a browser on a page of
// another origin. Neither changes what the API has granted. Uppy is tried in tests/browser.

import assert from "node:assert/strict";
import { File } from "node:buffer";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { chromium } from "playwright-core";

import * as flows from "./flows.mjs";

const api = process.env.DARKROOM_API;
const { token } = await (await fetch(`${api}/dev/token`)).json();
const photo = await readFile(new URL("../../fixtures/images/orientation_1.jpg", import.meta.url));

async function inNode() {
  for (const name of ["plainest", "put", "form"]) {
    report("Node", name, await flows[name](api, token, new File([photo], "photo.jpg", { type: "image/jpeg" })));
  }
}

async function inBrowser() {
  const script = await readFile(new URL("flows.mjs", import.meta.url));
  const html = '<!doctype html><script type="module">import * as flows from "/flows.mjs"; window.flows = flows;</script>';
  const server = http.createServer((request, response) => {
    const isScript = request.url === "/flows.mjs";
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : html);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const args = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"];
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args });
  try {
    const page = await browser.newPage();
    page.on("console", (message) => message.type() === "error" && console.error(`page: ${message.text()}`));
    let uploaded;
    page.on("response", (response) => {
      const isUpload = ["PUT", "POST"].includes(response.request().method());
      if (isUpload && !response.url().startsWith(api)) uploaded = response.status();
    });
    await page.goto(`http://localhost:${server.address().port}/`);
    await page.waitForFunction(() => window.flows);
    for (const name of ["plainest", "put", "form"]) {
      const run = ([name, api, token, bytes]) => {
        const file = new File([new Uint8Array(bytes)], "photo.jpg", { type: "image/jpeg" });
        return window.flows[name](api, token, file);
      };
      uploaded = undefined;
      const { status } = await page.evaluate(run, [name, api, token, [...photo]]);
      report("Chromium", name, { uploaded, status });
    }
  } finally {
    await browser.close();
    server.close();
  }
}

function report(where, name, { uploaded, status }) {
  console.log(`${where}: ${name}: the store answers ${uploaded}, the upload becomes ${status}`);
  assert.equal(uploaded, name === "form" ? 201 : 200);
  assert.equal(status, "ready");
}

await inNode();
await inBrowser();
