// Owns how numbers, types, states and lists are put into words. Pure.

// Whose usual spelling is not all capitals.
const FORMAT_NAMES = { webp: "WebP", "svg+xml": "SVG" };
// Seconds go far, because limits and alarms are set in them.
const TIME_UNITS = [
  { name: "µs", below: 1000, inNext: 1000 },
  { name: "ms", below: 1000, inNext: 1000 },
  { name: "s", below: 1000, inNext: 60 },
  { name: "min", below: 100, inNext: 60 },
  { name: "h", below: Infinity },
];
const ENDS = ["ready", "rejected", "failed", "stopped"];
/** More than these at once are counted, not named. */
const NAMED_AT_ONCE = 3;

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

/** `0.42` -> `420 µs`, `1234` -> `1.2 s`. */
export function msInWords(ms) {
  if (ms === 0) return "0 ms";
  let value = ms * 1000;
  let at = 0;
  while (value >= TIME_UNITS[at].below - 0.5) {
    value /= TIME_UNITS[at].inNext;
    at += 1;
  }
  return `${toShortNumber(value)} ${TIME_UNITS[at].name}`;
}

/** What `bytes` save against `original`: `−97 %`, `+12 %`, or nothing where the original's size is not known. */
export function savingInWords(bytes, original) {
  if (!original) return "";
  const percent = (100 * (bytes - original)) / original;
  const size = Math.abs(percent);
  if (size < 0.5) return "±0 %";
  // Nothing is saved whole.
  const shown = percent < 0 && size > 99 ? Math.min(99.9, Math.round(size * 10) / 10) : Math.round(size);
  return `${percent < 0 ? "−" : "+"}${shown} %`;
}

/** `1920 × 1440`. */
export function pixelsInWords(width, height) {
  return `${width} × ${height}`;
}

/** `1 photo`, `2 photos`. */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** How much of an upload is sent, in whole percent; 100 only once all of it is. */
export function percentOf(loaded, total) {
  return total > 0 ? Math.floor((100 * loaded) / total) : 0;
}

/** The line below a photo's name. */
export function statusInWords({ phase, loaded, total }) {
  return phase === "uploading" ? `uploading ${percentOf(loaded, total)} %` : phase;
}

/** `{ready: 3, uploading: 2}` -> `5 photos · 3 ready · 2 under way`. */
export function summaryInWords(tally) {
  const total = Object.values(tally).reduce((sum, number) => sum + number, 0);
  const ended = ENDS.map((phase) => [tally[phase] ?? 0, phase]);
  return [count(total, "photo"), ...inWords([...ended, [underWayOf(tally), "under way"]])].join(" · ");
}

/** How many have not come to an end. */
export function underWayOf(tally) {
  return Object.entries(tally).reduce((sum, [phase, number]) => (ENDS.includes(phase) ? sum : sum + number), 0);
}

/** What is said of photos that came to an end in the same moment: by name if they are few, else by number. */
export function announcementInWords(ends) {
  if (ends.length <= NAMED_AT_ONCE) {
    return ends.map(({ name, phase, sentence }) => `${name}: ${phase}.${sentence ? ` ${sentence}` : ""}`).join(" ");
  }
  const numbers = ENDS.map((phase) => [ends.filter((end) => end.phase === phase).length, phase]);
  return `${count(ends.length, "photo")}: ${inWords(numbers).join(", ")}.`;
}

/** Those that are not zero. */
function inWords(numbers) {
  return numbers.filter(([number]) => number > 0).map(([number, words]) => `${number} ${words}`);
}

/** One decimal below 10, none above, and no `.0`. */
function toShortNumber(value) {
  return String(value < 9.95 ? Math.round(value * 10) / 10 : Math.round(value));
}
