// Holds thumbhash.js to the reference implementation, by the pixels of the PNG that it makes.

import { crc32, inflateSync } from "node:zlib";
import fc from "fast-check";
import { rgbaToThumbHash, thumbHashToRGBA } from "thumbhash";
import { describe, expect, test } from "vitest";
import { thumbHashUrl } from "../thumbhash.js";

const base64 = (bytes) => Buffer.from(bytes).toString("base64");

/** A hash of what a function of x and y (0 to 1) paints. */
function hashOf(width, height, paint) {
  const rgba = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) rgba.set(paint(x / width, y / height), (y * width + x) * 4);
  }
  return rgbaToThumbHash(width, height, rgba);
}

/** A PNG's pixels as RGBA. Strict, as a browser would be: checksums have to fit. */
function pixelsOf(url) {
  const png = Buffer.from(url.replace("data:image/png;base64,", ""), "base64");
  expect(png.subarray(0, 8).toString("latin1")).toBe("\x89PNG\r\n\x1a\n");
  const chunks = {};
  for (let at = 8; at < png.length; ) {
    const end = at + 8 + png.readUInt32BE(at);
    expect(png.readUInt32BE(end)).toBe(crc32(png.subarray(at + 4, end)));
    chunks[png.toString("latin1", at + 4, at + 8)] = png.subarray(at + 8, end);
    at = end + 4;
  }
  expect(Object.keys(chunks)).toEqual(["IHDR", "IDAT", "IEND"]);
  const [w, h, channels] = [chunks.IHDR.readUInt32BE(0), chunks.IHDR.readUInt32BE(4), chunks.IHDR[9] === 6 ? 4 : 3];
  const rows = inflateSync(chunks.IDAT);
  expect(rows.length).toBe(h * (1 + w * channels));
  const rgba = new Uint8Array(w * h * 4).fill(255);
  for (let y = 0; y < h; y += 1) {
    const row = rows.subarray(y * (1 + w * channels), (y + 1) * (1 + w * channels));
    expect(row[0]).toBe(0);
    for (let x = 0; x < w; x += 1) rgba.set(row.subarray(1 + x * channels, 1 + (x + 1) * channels), (y * w + x) * 4);
  }
  return { w, h, rgba };
}

function expectSamePixels(hash) {
  const [ours, reference] = [pixelsOf(thumbHashUrl(base64(hash))), thumbHashToRGBA(hash)];
  expect([ours.w, ours.h]).toEqual([reference.w, reference.h]);
  // The reference cuts fractions off, and this rounds.
  const furthest = ours.rgba.reduce((most, value, at) => Math.max(most, Math.abs(value - reference.rgba[at])), 0);
  expect(furthest).toBeLessThanOrEqual(1);
}

const gradient = (x, y) => [255 * x, 255 * y, 128, 255];
const disc = (x, y) => [240, 80, 40, Math.hypot(x - 0.5, y - 0.5) < 0.4 ? 255 : 0];

describe("a placeholder has the reference's pixels", () => {
  test.each([
    ["of a landscape", hashOf(100, 60, gradient)],
    ["of a portrait", hashOf(60, 100, gradient)],
    ["of a square", hashOf(64, 64, gradient)],
    ["of a panorama", hashOf(100, 12, gradient)],
    ["of a tower", hashOf(12, 100, gradient)],
    ["of a single px", hashOf(1, 1, () => [10, 200, 90, 255])],
    ["of black and white", hashOf(80, 50, (x) => (x < 0.5 ? [0, 0, 0, 255] : [255, 255, 255, 255]))],
    ["of a disc on nothing", hashOf(80, 80, disc)],
    ["of a half transparent landscape", hashOf(90, 50, (x, y) => [255 * y, 40, 255 * x, 255 * x])],
    ["of nothing but transparency", hashOf(50, 90, () => [0, 0, 0, 0])],
    ["of the author's example", Buffer.from("1QcSHQRnh493V4dIh4eXh1h4kJUI", "base64")],
  ])("%s", (_, hash) => expectSamePixels(hash));

  test("of any noise", () => {
    const sides = fc.integer({ min: 1, max: 100 });
    fc.assert(
      fc.property(sides, sides, fc.infiniteStream(fc.nat(255)), fc.boolean(), (width, height, noise, hasAlpha) => {
        const next = () => noise.next().value;
        expectSamePixels(hashOf(width, height, () => [next(), next(), next(), hasAlpha ? next() : 255]));
      }),
      { numRuns: 25 },
    );
  });
});

test("an opaque placeholder takes at most 4.3 KB of a page, one with alpha 5.7 KB", () => {
  expect(thumbHashUrl(base64(hashOf(64, 64, gradient))).length).toBeLessThan(4300);
  expect(thumbHashUrl(base64(hashOf(64, 64, disc))).length).toBeLessThan(5700);
});

describe("what is no hash makes no placeholder and no error", () => {
  const whole = hashOf(80, 60, gradient);
  test.each([
    ["nothing", ""],
    ["no base64", "§§§"],
    ["a sentence", "not a hash at all"],
    ["one byte", base64([1])],
    ["a header alone", base64(whole.subarray(0, 5))],
    ["one byte too few", base64(whole.subarray(0, -1))],
    ["a side without waves", base64([0, 0, 0, 0, 0, ...Array(30).fill(0)])],
    ["undefined", undefined],
    ["null", null],
    ["a number", 12345678],
    ["an object", {}],
  ])("%s", (_, hash) => expect(thumbHashUrl(hash)).toBe(""));

  test("any bytes give a PNG or nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const url = thumbHashUrl(base64(bytes));
        if (url) pixelsOf(url);
      }),
    );
  });
});
