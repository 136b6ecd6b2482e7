// Owns the way from a manifest to pictures: URLs, <picture> elements, and the HTML to copy. It chooses among the
// renditions that exist and never guesses a key.

import { element } from "./dom.js";

// What a browser is offered, best first; the last one present is the fallback that every browser can show.
const FORMATS = ["avif", "webp", "png", "jpeg"];
const DEFAULT_SIZES = "(min-width: 60rem) 50rem, 100vw";

/** The public URL of a key. */
export function urlOf(cdn, key) {
  return `${cdn}/${key.split("/").map(encodeURIComponent).join("/")}`;
}

/** The small square one, or in a recipe without a `thumb` the smallest that still fills a tile. */
export function thumbRenditions({ renditions }) {
  const byWidth = [...renditions].sort((a, b) => a.width - b.width);
  const thumb = byWidth.find((r) => r.name === "thumb") ?? byWidth.find((r) => r.width >= 300) ?? byWidth.at(-1);
  return renditions.filter((r) => r.name === thumb?.name);
}

/** Those that show the whole photo: of its own proportions, give or take a rounded px. Crops do not belong in a srcset. */
export function wholeRenditions({ source, renditions }) {
  const whole = renditions.filter((r) => Math.abs(r.height - (r.width * source.height) / source.width) <= 1);
  return whole.length > 0 ? whole : renditions;
}

/** A <picture> of these renditions; `sizes` says how wide it will be shown. */
export function pictureElement(renditions, cdn, { alt, sizes }) {
  const { sources, fallback } = offers(renditions, cdn);
  const img = element("img", { alt, decoding: "async", width: fallback.width, height: fallback.height });
  if (sizes) img.sizes = sizes;
  if (fallback.srcset.includes(",")) img.srcset = fallback.srcset;
  img.src = fallback.src;
  return element("picture", {}, ...sources.map(({ type, srcset }) => element("source", { type, srcset, sizes: sizes ?? "" })), img);
}

/** The HTML that a site would hold for this photo. */
export function pictureHtml(manifest, cdn, sizes = DEFAULT_SIZES) {
  const { sources, fallback } = offers(wholeRenditions(manifest), cdn);
  return [
    "<picture>",
    ...sources.map(({ type, srcset }) => `  <source type="${type}" sizes="${sizes}"\n    srcset="${srcsetLines(srcset)}">`),
    `  <img src="${escapeHtml(fallback.src)}" sizes="${sizes}"\n    srcset="${srcsetLines(fallback.srcset)}"`,
    `    width="${fallback.width}" height="${fallback.height}" alt="" loading="lazy" decoding="async">`,
    "</picture>",
  ].join("\n");
}

/** What to offer: one source per format but the last, and the last as the <img>. */
function offers(renditions, cdn) {
  const groups = FORMATS.map((format) => distinctWidths(renditions.filter((r) => r.format === format))).filter((g) => g.length > 0);
  const last = groups.pop();
  const largest = last.at(-1);
  return {
    sources: groups.map((group) => ({ type: group[0].contentType, srcset: srcsetOf(group, cdn) })),
    fallback: { src: urlOf(cdn, largest.key), srcset: srcsetOf(last, cdn), width: largest.width, height: largest.height },
  };
}

/** Ascending, one per width: photos are never enlarged, so a small one has several renditions of the same pixels. */
function distinctWidths(renditions) {
  const byWidth = new Map(renditions.map((r) => [r.width, r]));
  return [...byWidth.values()].sort((a, b) => a.width - b.width);
}

function srcsetOf(renditions, cdn) {
  return renditions.map((r) => `${urlOf(cdn, r.key)} ${r.width}w`).join(", ");
}

function srcsetLines(srcset) {
  return escapeHtml(srcset).replaceAll(", ", ",\n      ");
}

function escapeHtml(text) {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
}
