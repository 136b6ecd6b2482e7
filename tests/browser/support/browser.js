// Owns the browser: one Chromium for each test file, a fresh profile for each test, and what no page may do unnoticed:
// write an error, break its content security policy, or talk to another machine. It knows nothing of Darkroom's page.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { startCable } from "./network.js";
import { ROOT, startStack } from "./stack.js";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const ARGS = [
  "--no-sandbox", // there is none for root, as whom containers run this
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  // Whatever a page asks of the world outside fails, here as on a machine without a network.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];
/** Only to end what hangs, for one wait and for a whole test: a debug build on a busy machine is slow. */
const PATIENCE_MS = 60_000;
const TEST_ENDS_AFTER_MS = 240_000;
const LOOK_AGAIN_MS = 50;
const SCREENSHOTS = `${ROOT}target/browser`;

/**
 * A browser and a stack for all scenarios of a file. What comes back defines one: `scenario(claim, options?, async ({ page,
 * context, stack, cable, t }) => ...)`. Options are those of a browser context, and
 * - `expected`: patterns of the faults without which the claim could not hold,
 * - `flags`: of `darkroom dev`, for a stack of its own,
 * - `cable: true`: everything goes through a cable that can be cut,
 * - `skip`: why it cannot be run here.
 */
export function suite() {
  let browser;
  let shared;
  before(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
    shared = await startStack();
  });
  after(async () => {
    await browser?.close();
    await shared?.stop();
  });
  return (claim, ...rest) => {
    const [body, { expected = [], flags, cable: isCabled, skip = false, ...contextOptions } = {}] = rest.reverse();
    test(claim, { timeout: TEST_ENDS_AFTER_MS, skip }, async (t) => {
      const stack = flags ? await startStack(flags) : shared;
      const cable = isCabled ? await startCable() : undefined;
      const context = await browser.newContext({ ...contextOptions, proxy: cable?.proxy });
      context.setDefaultTimeout(PATIENCE_MS);
      const faults = watch(context);
      try {
        await body({ page: await context.newPage(), context, stack, cable, t });
        assertOnly(faults, expected);
      } catch (error) {
        for (const fault of faults) t.diagnostic(fault);
        throw error;
      } finally {
        await context.close();
        cable?.stop();
        if (flags) await stack.stop();
      }
    });
  };
}

/** Everything that goes wrong on any page of this context, in words. */
export function watch(context) {
  const faults = [];
  context.on("console", (message) => {
    if (!["error", "warning"].includes(message.type())) return;
    faults.push(`console ${message.type()}: ${message.text()} (${message.location().url})`);
  });
  context.on("weberror", (error) => faults.push(`page error: ${error.error().stack}`));
  context.on("request", (request) => {
    const { protocol, hostname } = new URL(request.url());
    const isOurs = ["data:", "blob:"].includes(protocol) || hostname === "127.0.0.1";
    if (!isOurs) faults.push(`external request: ${request.url()}`);
  });
  context.on("page", (page) => page.on("crash", () => faults.push("the page crashed")));
  return faults;
}

/** Each fault must be expected, and each expectation must have come true. */
export function assertOnly(faults, expected) {
  const surprises = faults.filter((fault) => !expected.some((pattern) => pattern.test(fault)));
  assert.deepEqual(surprises, [], "the page did something that no page may");
  const missing = expected.filter((pattern) => !faults.some((fault) => pattern.test(fault)));
  assert.deepEqual(missing, [], "a fault that belongs to this scenario did not occur");
}

/** For people to look at, in `target/browser`. */
export async function screenshot(page, name) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, animations: "disabled" });
}

/** Resolves once `look` sees something. For what no event tells of. */
export async function until(look) {
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}
