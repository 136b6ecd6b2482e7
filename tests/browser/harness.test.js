// Owns that the tests notice what no page may do. If these did not fail where they must, all others would say nothing.

import assert from "node:assert/strict";
import { assertOnly, suite, watch } from "./support/browser.js";
import { serve } from "./support/serve.js";

const POLICY = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'">`;
const FAULTS = {
  "writes an error to the console": ["<script>console.error('oh')</script>", /console error: oh/],
  "writes a warning to the console": ["<script>console.warn('hm')</script>", /console warning: hm/],
  "throws": ["<script>throw new Error('broken')</script>", /page error: Error: broken/],
  "leaves a promise rejected": ["<script>Promise.reject(new Error('lost'))</script>", /page error: Error: lost/],
  "breaks its policy": [`${POLICY}<style>p { color: red }</style>`, /console error: .*Content Security Policy/],
  "asks for what is not there": ["<script src='/missing.js'></script>", /console error: Failed to load resource: .*404/],
  "talks to another machine": ["<img src='http://example.org/a.png'>", /external request: http:\/\/example.org\/a.png/],
};

const paths = Object.keys(FAULTS).map((name) => `/${encodeURIComponent(name)}/`);
const texts = Object.fromEntries(Object.entries(FAULTS).map(([name, [html]]) => [`/${name}/`, `<!doctype html>${html}`]));
const origin = await serve({ texts });
const scenario = suite();

scenario("a page that does nothing wrong has no faults", async ({ page, stack }) => {
  await page.goto(`${stack.api}/`);
});

for (const [at, [name, [, pattern]]] of Object.entries(FAULTS).entries()) {
  scenario(`a page that ${name} does not pass`, { expected: [pattern, /./] }, async ({ page, context }) => {
    const faults = watch(context);
    await page.goto(origin + paths[at]);
    assert.ok(faults.some((fault) => pattern.test(fault)), faults.join("\n"));
    assert.throws(() => assertOnly(faults, []));
    assert.throws(() => assertOnly([], [pattern]));
  });
}
