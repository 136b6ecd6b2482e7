// Owns how a set of renditions is arranged for the eye: as a grid of names by formats, which of them make a tile's picture,
// and which two are compared first. Pure.

import { FORMATS } from "../picture.js";

/** A tile's width on a dense screen, where a recipe has no `thumb`. */
const TILE_PX = 300;

/** `{formats: ["webp", ...], rows: [{name, width, height, cells: [rendition or undefined, one per format]}]}`. */
export function gridOf(renditions) {
  const formats = [...new Set(renditions.map((r) => r.format))].sort((a, b) => rank(a) - rank(b));
  const names = [...new Set(renditions.map((r) => r.name))];
  const rows = names.map((name) => {
    const named = renditions.filter((r) => r.name === name);
    const cells = formats.map((format) => named.find((r) => r.format === format));
    return { name, width: named[0].width, height: named[0].height, cells };
  });
  return { formats, rows };
}

/** The name of what a tile shows: `thumb`, or in a recipe without one the smallest that still fills a tile. */
export function thumbName(renditions) {
  const byWidth = [...renditions].sort((a, b) => a.width - b.width);
  const thumb = byWidth.find((r) => r.name === "thumb") ?? byWidth.find((r) => r.width >= TILE_PX) ?? byWidth.at(-1);
  return thumb?.name;
}

/**
 * The two of a comparison that says most, left and right: the original and the largest of the best format; without the
 * original, the largest of the format that every browser shows.
 */
export function firstPair(original, whole) {
  const best = largestOf(whole, (a, b) => rank(a) - rank(b));
  const common = largestOf(whole, (a, b) => rank(b) - rank(a));
  return [original ?? common, best];
}

function largestOf(renditions, byFormat) {
  return [...renditions].sort((a, b) => byFormat(a.format, b.format) || b.width - a.width)[0];
}

/** Best first; a format that is not known comes last. */
function rank(format) {
  const at = FORMATS.indexOf(format);
  return at < 0 ? FORMATS.length : at;
}
