// Owns one photo's tile in the list: its picture, its words, its progress bar. It shows what it is told and starts nothing.

import { element } from "./dom.js";
import { pictureElement, thumbRenditions } from "./picture.js";
import { thumbHashUrl } from "./thumbhash.js";
import { bytesInWords, count } from "./words.js";

// Twice the widest tile, for dense screens; a 20 megapixel photo held whole would cost 80 MB each.
const PREVIEW_PX = 560;
const IN_FLIGHT = ["waiting", "signing", "uploading", "processing"];

/** A tile for a file. `onOpen` and `onRetry` are called when somebody asks for it. */
export function createTile(file, { onOpen, onRetry }) {
  const parts = {
    picture: element("span", { className: "tile-picture" }),
    frame: element("button", { className: "tile-frame", type: "button", disabled: true, onclick: onOpen }),
    progress: element("progress", { className: "tile-progress", max: 100, "aria-label": `Upload of ${file.name}` }),
    name: element("p", { className: "tile-name", textContent: file.name, title: file.name }),
    status: element("p", { className: "tile-status" }),
    size: element("span", { className: "tile-size", textContent: bytesInWords(file.size) }),
    sentence: element("p", { className: "tile-sentence", hidden: true }),
    retry: element("button", { className: "tile-retry", type: "button", textContent: "Try again", hidden: true, onclick: onRetry }),
  };
  parts.frame.append(parts.picture);
  parts.frame.setAttribute("aria-label", file.name);
  parts.retry.setAttribute("aria-label", `Try again: ${file.name}`);
  const line = element("div", { className: "tile-line" }, parts.status, parts.size);
  const caption = element("div", { className: "tile-caption" }, parts.name, line, parts.sentence, parts.retry);
  const node = element("li", { className: "tile" }, parts.frame, parts.progress, caption);
  return { node, show: (state, cdn) => show(node, parts, file, state, cdn) };
}

function show(node, parts, file, state, cdn) {
  const { phase, percent, sentence, manifest } = state;
  const isNew = node.dataset.phase !== phase;
  node.dataset.phase = phase;
  setText(parts.status, statusInWords(state));
  setText(parts.sentence, sentence ?? "");
  parts.sentence.hidden = !sentence;
  parts.retry.hidden = phase !== "failed";
  parts.progress.hidden = !IN_FLIGHT.includes(phase);
  // Without a value the bar says that nobody knows how long it takes.
  if (phase === "uploading") parts.progress.value = percent;
  else parts.progress.removeAttribute("value");
  // Not before its turn: two hundred photos are not decoded at once.
  if (isNew && phase === "signing") showPreview(parts.picture, file);
  if (isNew && phase === "ready") showReady(parts, file, manifest, cdn);
}

function statusInWords({ phase, percent }) {
  return phase === "uploading" ? `uploading ${percent} %` : phase;
}

/** The photo itself, small, while it is under way. What the browser cannot decode has none. */
async function showPreview(picture, file) {
  if (picture.firstChild) return;
  try {
    const bitmap = await createImageBitmap(file, { resizeWidth: PREVIEW_PX, resizeQuality: "medium" });
    const canvas = element("canvas", { className: "tile-preview", width: bitmap.width, height: bitmap.height });
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    // It may have become ready meanwhile.
    if (!picture.firstChild) picture.append(canvas);
  } catch {
    // The tile stays plain; the server will say what is wrong with the file, if anything is.
  }
}

function showReady({ frame, picture, size }, file, manifest, cdn) {
  const thumb = pictureElement(thumbRenditions(manifest), cdn, { alt: "" });
  const img = thumb.querySelector("img");
  thumb.className = "tile-thumb";
  if (!picture.firstChild) showPlaceholder(picture, manifest.placeholder);
  img.addEventListener("load", () => {
    thumb.classList.add("is-loaded");
    // Transparent photos would show what lies beneath them.
    picture.style.background = "";
    picture.querySelector("canvas")?.remove();
  });
  picture.append(thumb);
  // The original's own size moves to the dialog; a narrow tile has room for one of them.
  size.textContent = count(manifest.renditions.length, "rendition");
  frame.disabled = false;
  frame.setAttribute("aria-label", `${file.name}: show renditions`);
}

/** The hash as a picture upon the dominant colour, until the real one has loaded. */
export function showPlaceholder(node, placeholder) {
  if (!placeholder) return;
  const url = thumbHashUrl(placeholder.thumbhash);
  node.style.background = url ? `${placeholder.color} url(${url}) center / cover` : placeholder.color;
}

/** Only if it differs: a text that is set again is selected anew and, to some screen readers, said anew. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
