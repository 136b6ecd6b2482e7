// Owns the way from a manifest to pictures: URLs, srcsets, <picture> elements and their HTML. It chooses among the
// renditions that exist and must never guess a key. Everything but `pictureElement` works without a document.

import { thumbHashUrl } from "./thumbhash.js";

/**
 * What is read of a manifest; upload.js's `Manifest` is one.
 * @typedef {object} PictureManifest
 * @property {string} status must be "ready"
 * @property {{width?: number, height?: number}} [source]
 * @property {PictureRendition[]} [renditions]
 * @property {{thumbhash?: string, color?: string}} [placeholder]
 *
 * @typedef {object} PictureRendition
 * @property {string} name
 * @property {string} format
 * @property {string} key
 * @property {number} width
 * @property {number} height
 *
 * @typedef {object} Choice
 * @property {string} cdn where `processed/` is served; "" for the page's own origin
 * @property {string} [sizes] how wide it will be shown, as in HTML; "100vw" by default
 * @property {string[]} [formats] offer these alone: "avif", "webp", "png", "jpeg"
 * @property {string} [rendition] offer the one of this name alone, say "thumb"; else all that show the whole photo
 *
 * @typedef {object} Presentation
 * @property {string} alt what the photo shows, for who cannot see it; "" if it only decorates
 * @property {"lazy" | "eager"} [loading]
 * @property {"high" | "low" | "auto"} [fetchPriority]
 * @property {boolean} [placeholder] a blurred preview as background
 *
 * @typedef {object} PictureData
 * @property {{type: string, srcset: string}[]} sources best first
 * @property {string} src the largest that every browser can show; "" if there is no rendition
 * @property {string} srcset
 * @property {string} sizes
 * @property {number} width of `src`, px; 0 if it is not known
 * @property {number} height
 * @property {string} placeholder a data: URL, or ""
 * @property {string} color the mean colour, "#rrggbb", or ""
 */

const DEFAULT_SIZES = "100vw";

/** What a browser is offered, best first; the last one present is the fallback. */
export const FORMATS = ["avif", "webp", "png", "jpeg"];

/**
 * Everything that a <picture> needs, for any framework: a source for each format but the last, and the last as the <img>.
 * @param {PictureManifest} manifest
 * @param {Choice} choice
 * @returns {PictureData}
 */
export function pictureData(manifest, { cdn, sizes = DEFAULT_SIZES, formats = FORMATS, rendition }) {
  const chosen = renditions(manifest, rendition ? { name: rendition } : { whole: true });
  const groups = FORMATS.filter((format) => formats.includes(format))
    .map((format) => distinctWidths(chosen.filter((one) => one.format === format)))
    .filter((group) => group.length > 0);
  const fallback = groups.pop() ?? [];
  const largest = fallback.at(-1);
  const size = largest ?? manifest.source;
  return {
    sources: groups.map((group) => ({ type: `image/${group[0].format}`, srcset: srcsetOf(group, cdn) })),
    src: largest ? renditionUrl(cdn, largest.key) : "",
    srcset: srcsetOf(fallback, cdn),
    sizes,
    width: size?.width ?? 0,
    height: size?.height ?? 0,
    // Only made if it is asked for: not every picture shows one.
    get placeholder() {
      return placeholderUrl(manifest);
    },
    color: colorOf(manifest),
  };
}

/**
 * A <picture> whose <img> has the placeholder as its background until it has loaded.
 * @param {PictureManifest} manifest
 * @param {Choice & Presentation} options
 * @returns {HTMLPictureElement}
 */
export function pictureElement(manifest, { placeholder = true, ...options }) {
  const { data, sources, img } = attributesOf(manifest, options);
  const picture = document.createElement("picture");
  const image = elementOf("img", img);
  picture.append(...sources.map((source) => elementOf("source", source)), image);
  if (placeholder) {
    // By CSSOM, which a strict Content-Security-Policy allows; a style attribute it does not.
    const style = placeholderStyle(data);
    Object.assign(image.style, style);
    const clear = () => Object.assign(image.style, Object.fromEntries(Object.keys(style).map((name) => [name, ""])));
    image.addEventListener("load", clear, { once: true });
  }
  return picture;
}

/**
 * The HTML of a <picture>. A placeholder, if asked for, stays behind the photo, since nothing here takes it away.
 * @param {PictureManifest} manifest
 * @param {Choice & Presentation} options
 * @returns {string}
 */
export function pictureHtml(manifest, { placeholder = false, ...options }) {
  const { data, sources, img } = attributesOf(manifest, options);
  const style = placeholder ? styleText(placeholderStyle(data)) : "";
  return [
    "<picture>",
    ...sources.map((source) => `  ${tag("source", source)}`),
    `  ${tag("img", style ? { ...img, style } : img)}`,
    "</picture>",
  ].join("\n");
}

/**
 * The srcset of one format: the one asked for, or else the one that every browser can show.
 * @param {PictureManifest} manifest
 * @param {{cdn: string, format?: string}} options
 * @returns {string}
 */
export function srcset(manifest, { cdn, format }) {
  return pictureData(manifest, { cdn, formats: format ? [format] : undefined }).srcset;
}

/**
 * A loader for next/image: of the whole renditions the smallest at least as wide as asked, else the largest. Without a
 * `format` its addresses have no extension, and the CDN chooses the format by `Accept`.
 * @param {PictureManifest} manifest
 * @param {{cdn: string, format?: string}} options
 * @returns {(request: {src: string, width: number, quality?: number}) => string}
 */
export function loader(manifest, { cdn, format }) {
  const offered = distinctWidths(renditions(manifest, { format, whole: true }));
  return ({ src, width }) => {
    const fitting = offered.find((one) => one.width >= width) ?? offered.at(-1);
    if (!fitting) return src;
    return renditionUrl(cdn, format ? fitting.key : fitting.key.replace(/\.[^./]+$/, ""));
  };
}

/**
 * The public URL of a key.
 * @param {string} cdn
 * @param {string} key
 * @returns {string}
 */
export function renditionUrl(cdn, key) {
  // Half a surrogate pair has no encoding, and encodeURIComponent would throw.
  const path = key.replace(/\p{Surrogate}/gu, "\uFFFD").split("/").map(encodeURIComponent).join("/");
  return `${cdn.replace(/\/+$/, "")}/${path}`;
}

/**
 * The blurred preview of some 4 KB as a data: URL, or "" if the manifest has none.
 * @param {PictureManifest} manifest
 * @returns {string}
 */
export function placeholderUrl(manifest) {
  const hash = ready(manifest).placeholder?.thumbhash;
  return hash ? thumbHashUrl(hash) : "";
}

/**
 * The CSS properties that show the placeholder behind an <img>: the preview, or else the mean colour.
 * @param {Pick<PictureData, "placeholder" | "color">} data
 * @returns {Record<string, string>} names as in `element.style`
 */
export function placeholderStyle({ placeholder, color }) {
  if (placeholder) return { backgroundImage: `url(${placeholder})`, backgroundSize: "cover", backgroundPosition: "center" };
  return color ? { backgroundColor: color } : {};
}

/**
 * The renditions that can be shown, in the manifest's order: of one name, one format, or those that show the whole photo.
 * In a recipe that only crops, "whole" are those of the largest one's proportions.
 * @template {PictureRendition} T
 * @param {Omit<PictureManifest, "renditions"> & {renditions?: T[]}} manifest
 * @param {{name?: string, format?: string, whole?: boolean}} [filter]
 * @returns {T[]}
 */
export function renditions(manifest, { name, format, whole = false } = {}) {
  const listed = ready(manifest).renditions;
  const shown = Array.isArray(listed) ? listed.filter(isUsable) : [];
  const kept = whole ? ofOneShape(shown, manifest.source) : shown;
  return kept.filter((one) => (!name || one.name === name) && (!format || one.format === format));
}

/**
 * @template {{status: string}} T
 * @param {T} manifest
 */
function ready(manifest) {
  if (manifest?.status === "ready") return manifest;
  throw new TypeError(`A picture needs a manifest that is ready; the status of this one is ${manifest?.status}.`);
}

/** @param {PictureRendition} one */
function isUsable(one) {
  const isLength = (/** @type {unknown} */ px) => Number.isInteger(px) && Number(px) > 0;
  return typeof one?.key === "string" && one.key !== "" && isLength(one.width) && isLength(one.height);
}

/**
 * Crops do not belong in a srcset beside whole photos: the browser would choose one by its width alone.
 * @template {PictureRendition} T
 * @param {T[]} shown
 * @param {PictureManifest["source"]} source
 */
function ofOneShape(shown, source) {
  const whole = shown.filter((one) => hasShape(one, source ?? {}));
  if (whole.length > 0) return whole;
  const largest = distinctWidths(shown).at(-1);
  return shown.filter((one) => hasShape(one, largest));
}

/**
 * Of the same proportions, give or take a rounded px of either side.
 * @param {PictureRendition} one
 * @param {{width?: number, height?: number} | undefined} shape
 */
function hasShape(one, { width = 0, height = 0 } = {}) {
  const isClose = (/** @type {number} */ px, /** @type {number} */ expectedPx) => Math.abs(px - expectedPx) <= 1;
  return isClose(one.height, (one.width * height) / width) || isClose(one.width, (one.height * width) / height);
}

/**
 * Ascending, one per width: photos are never enlarged, so a small one has several renditions of the same pixels.
 * @template {PictureRendition} T
 * @param {T[]} group
 */
function distinctWidths(group) {
  // The first of a width stays: what is set last wins in a Map.
  const byWidth = new Map([...group].reverse().map((one) => [one.width, one]));
  return [...byWidth.values()].sort((a, b) => a.width - b.width);
}

/**
 * @param {PictureRendition[]} group
 * @param {string} cdn
 */
function srcsetOf(group, cdn) {
  return group.map((one) => `${renditionUrl(cdn, one.key)} ${one.width}w`).join(", ");
}

/**
 * Anything else than a plain colour stays out of style attributes.
 * @param {PictureManifest} manifest
 */
function colorOf(manifest) {
  const color = ready(manifest).placeholder?.color ?? "";
  return /^#[0-9a-f]{6}$/i.test(color) ? color : "";
}

/**
 * The attributes of both kinds of element, without those that have no value. `src` is last: setting it starts the load.
 * @param {PictureManifest} manifest
 * @param {Choice & Presentation} options
 */
function attributesOf(manifest, { alt, loading, fetchPriority, ...choice }) {
  const data = pictureData(manifest, choice);
  const { sources, src, srcset, sizes, width, height } = data;
  return {
    data,
    sources: sources.map(({ type, srcset }) => ({ type, sizes, srcset })),
    // An empty `alt` says something, unlike any other empty attribute.
    img: { alt, ...present({ width, height, decoding: "async", loading, fetchpriority: fetchPriority, sizes: srcset && sizes, srcset, src }) },
  };
}

/**
 * @param {Record<string, string | number | undefined>} attributes
 * @returns {Record<string, string | number>}
 */
function present(attributes) {
  return Object.fromEntries(Object.entries(attributes).flatMap(([name, value]) => (value ? [[name, value]] : [])));
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 */
function elementOf(name, attributes) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, String(value));
  return made;
}

/**
 * One tag of HTML, a srcset's addresses each on a line of their own.
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 */
function tag(name, attributes) {
  const written = Object.entries(attributes).map(([attribute, value]) => {
    const text = attribute === "srcset" ? String(value).replaceAll(", ", ",\n      ") : String(value);
    return `${attribute}="${escapeHtml(text)}"`;
  });
  return `<${[name, ...written].join(" ")}>`;
}

/** @param {Record<string, string>} style */
function styleText(style) {
  const hyphened = (/** @type {string} */ name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return Object.entries(style).map(([name, value]) => `${hyphened(name)}:${value}`).join(";");
}

/** @param {string} text */
function escapeHtml(text) {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
