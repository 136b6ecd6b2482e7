// What the package promises as a whole: its size, its types, and that it needs nothing else.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";

const WEB = join(import.meta.dirname, "..");
const MODULES = readdirSync(WEB).filter((name) => name.endsWith(".js"));
/** What a module may import beside its neighbours. */
const PEERS = { "react.js": ["react"] };
const MAX_UPLOAD_BYTES = 6 * 1024;

async function bundled(name) {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(WEB, name)],
    bundle: true,
    minify: true,
    format: "esm",
    external: PEERS[name] ?? [],
    metafile: true,
    write: false,
  });
  return { bytes: outputFiles[0].contents, inputs: Object.keys(metafile.inputs) };
}

test("the upload client has at most 6 KB, minified and gzipped, with all it imports", async () => {
  const { bytes } = await bundled("upload.js");
  const gzipped = gzipSync(bytes, { level: 9 }).length;
  console.log(`upload.js: ${gzipped} bytes`);
  expect(gzipped).toBeLessThanOrEqual(MAX_UPLOAD_BYTES);
});

test.each(MODULES)("%s needs no package but its peers", async (name) => {
  const { inputs } = await bundled(name);
  expect(inputs.filter((input) => input.includes("node_modules"))).toEqual([]);
});

test("the modules pass the type checker, and the declarations beside them are theirs (`npm run types` writes them)", () => {
  const folder = mkdtempSync(join(tmpdir(), "darkroom-types-"));
  try {
    execFileSync("npx", ["tsc", "--project", WEB, "--declarationDir", folder], { cwd: WEB, stdio: "inherit" });
    for (const name of readdirSync(folder).filter((file) => file.endsWith(".d.ts"))) {
      expect(readFileSync(join(WEB, name), "utf8"), name).toBe(readFileSync(join(folder, name), "utf8"));
    }
    expect(readdirSync(folder).sort()).toEqual(readdirSync(WEB).filter((name) => name.endsWith(".d.ts")).sort());
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 60_000);
