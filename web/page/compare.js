// Owns the slider that lays two pictures over each other: which two, where they divide, and what is said of each.

import { renditionUrl, renditions } from "../picture.js";
import { byId, element, setText } from "./dom.js";
import { firstPair } from "./sets.js";
import { bytesInWords, pixelsInWords, savingInWords, typeName } from "./words.js";

const SIDES = ["left", "right"];
const MIDDLE = 50;

/** Makes the slider work. `show` fills it for a photo, `choose` puts a rendition on the right, `clear` lets go of the photo. */
export function createCompare(cdn, onChoice) {
  let choices = [];
  let originalUrl;
  listenToRange();
  for (const side of SIDES) {
    byId(`compare-${side}`).addEventListener("change", () => showSide(side));
  }

  function showSide(side) {
    const choice = choices[byId(`compare-${side}`).selectedIndex];
    showFacts(side, choice);
    showPicture(byId(`compare-${side}-side`), choice);
    showRange();
    if (side === "right") onChoice(choice.key);
  }

  return {
    show(file, manifest) {
      originalUrl = file && URL.createObjectURL(file);
      const original = file && originalChoice(file, originalUrl, manifest);
      const sorted = renditions(manifest).map((rendition) => renditionChoice(rendition, manifest, cdn));
      choices = original ? [original, ...sorted] : sorted;
      const whole = renditions(manifest, { whole: true });
      const pair = firstPair(original, whole.length > 0 ? whole : manifest.renditions);
      SIDES.forEach((side, at) => {
        const select = byId(`compare-${side}`);
        select.replaceChildren(...choices.map((choice) => element("option", { textContent: choice.option })));
        select.selectedIndex = choices.findIndex((choice) => choice.key === pair[at].key);
        byId(`compare-${side}-side`).replaceChildren();
        showSide(side);
      });
      byId("compare").value = MIDDLE;
      showRange();
    },
    choose(key) {
      byId("compare-right").selectedIndex = choices.findIndex((choice) => choice.key === key);
      showSide("right");
    },
    clear() {
      for (const side of SIDES) byId(`compare-${side}-side`).replaceChildren();
      if (originalUrl) URL.revokeObjectURL(originalUrl);
      originalUrl = undefined;
    },
  };
}

/** The file as it was chosen; a HEIC that was sent as JPEG is neither of the manifest's type nor of its size. */
function originalChoice(file, url, { source }) {
  const format = typeName(file.type || source.contentType || "");
  const pixels = pixelsInWords(source.width, source.height);
  return choiceOf({ key: "original", url, title: "Original", format, pixels, bytes: file.size });
}

function renditionChoice({ key, name, format, width, height, bytes }, { source }, cdn) {
  const saving = savingInWords(bytes, source.size);
  const pixels = pixelsInWords(width, height);
  return choiceOf({ key, url: renditionUrl(cdn, key), title: name, format: typeName(format), pixels, bytes, saving });
}

function choiceOf({ key, url, title, format, pixels, bytes, saving = "" }) {
  const size = bytesInWords(bytes);
  return {
    key,
    url,
    option: [title, format, pixels, size].join(" · "),
    label: `${format} ${size}`,
    facts: [`${pixels} px`, size, saving].filter(Boolean),
    name: `${title} as ${format}`,
  };
}

function showFacts(side, { url, label, facts, name }) {
  setText(byId(`compare-${side}-label`), label);
  // Text between them for who hears it; the eye has a gap.
  byId(`compare-${side}-facts`).replaceChildren(...facts.flatMap((fact) => [element("span", { textContent: fact }), " "]));
  const open = byId(`compare-${side}-open`);
  open.href = url;
  open.setAttribute("aria-label", `Open ${name} in a new tab`);
}

/** What is there stays until the next one can be painted, so that changing it does not flicker. */
async function showPicture(side, { url, name }) {
  side.dataset.url = url;
  const img = element("img", { alt: name, src: url, decoding: "async", draggable: false });
  const isShown = await img.decode().then(() => true, () => false);
  // Another may have been chosen meanwhile.
  if (side.dataset.url !== url) return;
  side.replaceChildren(isShown ? img : element("p", { textContent: "This browser cannot show this file." }));
}

function listenToRange() {
  const range = byId("compare");
  const follow = (event) => {
    if (event.buttons === 0) return;
    const { left, width } = range.getBoundingClientRect();
    range.value = Math.min(100, Math.max(0, (100 * (event.clientX - left)) / width));
    showRange();
  };
  range.addEventListener("input", showRange);
  // Safari on iOS moves a range by its thumb alone, and this one is all track.
  range.addEventListener("pointerdown", follow);
  range.addEventListener("pointermove", follow);
}

function showRange() {
  const range = byId("compare");
  const percent = Number(range.value);
  byId("compare-stage").style.setProperty("--split", `${percent}%`);
  range.setAttribute("aria-valuetext", `${Math.round(percent)} % left, ${byId("compare-left-label").textContent}; the rest ${byId("compare-right-label").textContent}`);
}
