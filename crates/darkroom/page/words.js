// Owns how numbers, types and lists are put into words. Pure.

// Whose usual spelling is not all capitals.
const FORMAT_NAMES = { webp: "WebP", "svg+xml": "SVG" };

/** `image/webp`, or `webp` as a manifest has it, -> `WebP`; `text/plain` stays as it is. */
export function typeName(contentType) {
  const format = contentType.replace(/^image\//, "");
  return FORMAT_NAMES[format] ?? (format.includes("/") ? format : format.toUpperCase());
}

/** `["a", "b", "c"]` -> `a, b or c`. */
export function either(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** `3779026` -> `3.6 MB`, in steps of 1024, because limits are set in them: 26214400 reads as 25 MB. */
export function bytesInWords(bytes) {
  const units = ["B", "KB", "MB", "GB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit > 0 ? toShortNumber(value) : value} ${units[unit]}`;
}

/** `part` of `whole` as `0.7 %` or `12 %`. */
export function percentInWords(part, whole) {
  if (!whole) return "–";
  const percent = (100 * part) / whole;
  return percent > 0 && percent < 0.1 ? "< 0.1 %" : `${toShortNumber(percent)} %`;
}

/** `1 photo`, `2 photos`. */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** One decimal below 10, none above, and no `.0`. */
function toShortNumber(value) {
  return String(value < 9.95 ? Math.round(value * 10) / 10 : Math.round(value));
}
