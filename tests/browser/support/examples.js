// Owns building `examples/`: each as its README says, against the stack under test, into a folder of its own.

import { execFile } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { promisify } from "node:util";
import { ROOT } from "./stack.js";

const run = promisify(execFile);

/** Builds one with this API. Returns the folder, which is gone after the tests. */
export async function buildExample(name, api) {
  const cwd = `${ROOT}examples/${name}`;
  const built = await mkdtemp(join(tmpdir(), "darkroom-example-"));
  after(() => rm(built, { recursive: true }));
  if (!(await isInstalled(cwd))) await run("npm", ["ci", "--no-audit", "--no-fund"], { cwd });
  const env = { ...process.env, VITE_DARKROOM_API: api };
  await run("npm", ["run", "build", "--", "--outDir", built, "--emptyOutDir"], { cwd, env });
  return built;
}

/** As the lockfile of today says. */
async function isInstalled(cwd) {
  const changedAt = async (path) => (await stat(join(cwd, path)).catch(() => undefined))?.mtimeMs ?? 0;
  return (await changedAt("node_modules/.package-lock.json")) >= (await changedAt("package-lock.json"));
}
