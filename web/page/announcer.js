// Owns what screen readers are told of what changes on the page: what somebody has just done soon, and how photos ended
// all the more seldom the more there are. Percentages are left to the progress bars.

import { byId } from "./dom.js";
import { announcementInWords } from "./words.js";

// Long enough for several photos that become ready together to be said in one go.
const SOON_MS = 1000;
const SELDOM_MS = 10_000;
/** With more photos under way, nobody wants to hear of each. */
const FEW = 3;

let sentences = [];
let ends = [];
let timer;
let isSoon = false;

/** Says a sentence within a second. */
export function announce(sentence) {
  sentences.push(sentence);
  schedule(true);
}

/** Says how a photo ended; `underWay` is how many have not. */
export function announceEnd(end, underWay) {
  ends.push(end);
  schedule(underWay <= FEW);
}

/** What waits is never put off: a sooner time replaces a later one, and no other. */
function schedule(soon) {
  if (timer && (isSoon || !soon)) return;
  clearTimeout(timer);
  isSoon = soon;
  timer = setTimeout(say, soon ? SOON_MS : SELDOM_MS);
}

function say() {
  byId("announcer").textContent = [...sentences, announcementInWords(ends)].filter(Boolean).join(" ");
  timer = undefined;
  sentences = [];
  ends = [];
}
