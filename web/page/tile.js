// Owns one photo's tile in the list: its picture, its words, its progress ring and its buttons. It shows what it is told
// and starts nothing but its own preview.

import { pictureElement, placeholderUrl } from "../picture.js";
import { byId, setText } from "./dom.js";
import { dropPreview, requestPreview } from "./previews.js";
import { thumbName } from "./sets.js";
import { bytesInWords, count, percentOf, statusInWords } from "./words.js";

/** What of the template is written to, by its class without `tile-`. */
const PARTS = ["frame", "picture", "ring", "stop", "note", "sentence", "code", "retry", "name", "status", "size"];
const UNDER_WAY = ["preparing", "signing", "uploading", "processing"];

/**
 * A tile for `{name, size, file?}`, without a file if the photo was sent before the page was reloaded. `onOpen`, `onStop` and
 * `onRetry` are called when somebody asks for it. The answer is its element and a function that shows a state.
 */
export function createTile({ name, size, file }, { onOpen, onStop, onRetry }) {
  const node = byId("tile-template").content.firstElementChild.cloneNode(true);
  const parts = Object.fromEntries(PARTS.map((part) => [part, node.querySelector(`.tile-${part}`)]));
  node.dataset.name = name;
  parts.name.textContent = name;
  parts.name.title = name;
  parts.size.textContent = bytesInWords(size);
  parts.frame.setAttribute("aria-label", name);
  parts.ring.setAttribute("aria-label", `Upload of ${name}`);
  parts.stop.setAttribute("aria-label", `Stop: ${name}`);
  parts.retry.setAttribute("aria-label", `Try again: ${name}`);
  parts.frame.onclick = onOpen;
  parts.stop.onclick = onStop;
  parts.retry.onclick = onRetry;
  if (file) requestPreview(node, file, (canvas) => parts.picture.prepend(canvas));
  return { node, show: (state, cdn) => show(node, parts, name, state, cdn) };
}

/** `state` is an upload's, and says by `canRetry` whether trying again may help. */
function show(node, parts, name, state, cdn) {
  const { phase, error, canRetry } = state;
  const isUnderWay = UNDER_WAY.includes(phase);
  if (isUnderWay) showProgress(parts.ring, state);
  setText(parts.status, statusInWords(state));
  if (node.dataset.phase === phase) return;
  const hadFocus = node.contains(document.activeElement);
  node.dataset.phase = phase;
  parts.ring.hidden = parts.stop.hidden = !isUnderWay;
  setText(parts.sentence, error?.message ?? "");
  setText(parts.code, error?.code ?? "");
  parts.retry.hidden = !canRetry;
  parts.note.hidden = !error && !canRetry;
  if (phase === "ready") showReady(node, parts, name, state.manifest, cdn);
  if (hadFocus) keepFocus(node, parts);
}

function showProgress(ring, { phase, loaded, total }) {
  const percent = percentOf(loaded, total);
  ring.setAttribute("aria-valuetext", statusInWords({ phase, loaded, total }));
  // Without a value it says that nobody knows how long it takes.
  if (phase === "uploading") ring.setAttribute("aria-valuenow", percent);
  else ring.removeAttribute("aria-valuenow");
  ring.style.setProperty("--percent", phase === "uploading" ? percent : 0);
}

/** Whoever stood on a button that has just gone finds themselves on what took its place. */
function keepFocus(node, { frame, stop, retry }) {
  const next = [frame, stop, retry].find((button) => !button.hidden && !button.disabled);
  if (!next) node.tabIndex = -1;
  (next ?? node).focus({ preventScroll: true });
}

function showReady(node, { frame, picture, size }, name, manifest, cdn) {
  dropPreview(node);
  showPlaceholder(picture, manifest);
  // The frame's label says what it is of.
  const options = { cdn, alt: "", rendition: thumbName(manifest.renditions), loading: "lazy", placeholder: false };
  const thumb = pictureElement(manifest, options);
  thumb.className = "tile-thumb";
  thumb.querySelector("img").addEventListener("load", () => uncover(picture, thumb));
  picture.append(thumb);
  // The original's own size moves to the dialog; a narrow tile has room for one of them.
  setText(size, count(manifest.renditions.length, "rendition"));
  frame.disabled = false;
  frame.setAttribute("aria-label", `${name}: show renditions`);
}

/** Fades the thumb in, then clears what lies beneath, which a transparent photo would show. */
async function uncover(picture, thumb) {
  thumb.classList.add("is-loaded");
  await Promise.allSettled(thumb.getAnimations({ subtree: true }).map((animation) => animation.finished));
  picture.style.background = "";
  picture.querySelector("canvas")?.remove();
}

/** The hash as a picture upon the dominant colour, until the real one has loaded. */
export function showPlaceholder(node, manifest) {
  const url = placeholderUrl(manifest);
  const color = manifest.placeholder?.color ?? "";
  node.style.background = url ? `${color} url("${url}") center / cover` : color;
}
