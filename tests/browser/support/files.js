// Owns the files that tests upload: fixtures of the repository, and images made here, each as a file input takes them.
// What is made is the same at every run.

import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { crc32, deflateSync } from "node:zlib";
import { ROOT } from "./stack.js";

/** Real photos, where the checkout has them beside it; undefined elsewhere. */
export const CORPUS = existsSync(`${ROOT}../shared/corpus`) ? `${ROOT}../shared/corpus` : undefined;

/** One of `fixtures/`. */
export async function fixture(path, name, mimeType) {
  return { name, mimeType, buffer: await readFile(`${ROOT}fixtures/${path}`) };
}

export const jpeg = (name = "wide.jpg") => fixture("images/wide.jpg", name, "image/jpeg");
export const webp = (name = "quadrants.webp") => fixture("images/quadrants.webp", name, "image/webp");
export const gif = (name = "two_frames.gif") => fixture("images/two_frames.gif", name, "image/gif");
export const avif = (name = "quadrants.avif") => fixture("images/quadrants.avif", name, "image/avif");

/** Plain colour, another one for each seed. */
export function smallPng(seed, name = `small-${seed}.png`) {
  const colour = [seed & 0xff, (seed * 7) & 0xff, (seed * 31) & 0xff];
  return png(name, 48, 32, () => colour);
}

/** Noise, which does not compress: some 3 bytes a pixel. */
export function noisyPng(name, sidePx, seed = 1) {
  let state = seed;
  const byte = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
  return png(name, sidePx, sidePx, () => [byte(), byte(), byte()]);
}

/** A file of that many bytes, for as long as the tests run: a path, since so much is best not handed over as bytes. */
export async function sparseFile(name, bytes) {
  const folder = await mkdtemp(join(tmpdir(), "darkroom-browser-"));
  after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, name), "");
  await truncate(join(folder, name), bytes);
  return join(folder, name);
}

/** The first half of an image: its header is right, the rest is not there. */
export async function corruptJpeg(name = "corrupt.jpg") {
  return fixture("hostile/truncated.jpg", name, "image/jpeg");
}

function png(name, width, height, colourAt) {
  const rows = Buffer.alloc(height * (1 + 3 * width));
  for (let y = 0, at = 0; y < height; y += 1) {
    rows[at++] = 0; // this row is not filtered
    for (let x = 0; x < width; x += 1) for (const value of colourAt(x, y)) rows[at++] = value;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8); // 8 bits, RGB
  const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  const chunks = [chunk("IHDR", header), chunk("IDAT", deflateSync(rows, { level: 1 })), chunk("IEND", Buffer.alloc(0))];
  return { name, mimeType: "image/png", buffer: Buffer.concat([signature, ...chunks]) };
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const chunk = Buffer.alloc(body.length + 8);
  chunk.writeUInt32BE(data.length, 0);
  chunk.set(body, 4);
  chunk.writeUInt32BE(crc32(body), body.length + 4);
  return chunk;
}
