// Owns the dialog about one ready photo: the comparison, its renditions by size and format, the HTML to copy, the manifest.

import { pictureHtml } from "../picture.js";
import { announce } from "./announcer.js";
import { createCompare } from "./compare.js";
import { byId, element } from "./dom.js";
import { gridOf } from "./sets.js";
import { showPlaceholder } from "./tile.js";
import { bytesInWords, pixelsInWords, savingInWords, typeName } from "./words.js";

const COPIED_FOR_MS = 2000;
const SNIPPET_SIZES = "(min-width: 60rem) 50rem, 100vw";

/** Makes the dialog work; the answer opens it for a photo's name, its file if this tab still has it, and its manifest. */
export function createDetail(cdn) {
  const dialog = byId("detail");
  const compare = createCompare(cdn, markChosen);
  byId("detail-close").addEventListener("click", () => dialog.close());
  byId("detail-copy").addEventListener("click", copySnippet);
  byId("detail-rows").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) compare.choose(button.dataset.key);
  });
  // The dialog itself is only hit outside of its contents, that is on the backdrop.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", compare.clear);
  return (name, file, manifest) => {
    fill(name, manifest, cdn);
    compare.show(file, manifest);
    dialog.showModal();
    dialog.scrollTop = 0;
  };
}

function fill(name, manifest, cdn) {
  byId("detail-title").textContent = name;
  byId("detail-facts").textContent = factsInWords(manifest.source);
  fillStage(manifest);
  fillTable(manifest);
  byId("detail-snippet").textContent = pictureHtml(manifest, { cdn, alt: "", sizes: SNIPPET_SIZES });
  byId("detail-manifest").textContent = JSON.stringify(manifest, null, 2);
  byId("detail-manifest").closest("details").open = false;
}

function factsInWords({ width, height, size, contentType }) {
  const facts = [`${pixelsInWords(width, height)} px`, bytesInWords(size)];
  if (contentType) facts.unshift(typeName(contentType));
  return `Original: ${facts.join(" · ")}`;
}

/** In its final size from the start, with the placeholder beneath. */
function fillStage(manifest) {
  const stage = byId("compare-stage");
  stage.style.setProperty("--ratio", manifest.source.width / manifest.source.height);
  showPlaceholder(stage, manifest);
}

/** One row per size, one column per format. */
function fillTable({ source, renditions }) {
  const { formats, rows } = gridOf(renditions);
  const largest = Math.max(...renditions.map((r) => r.bytes));
  const heads = formats.map((format) => element("th", { scope: "col", textContent: typeName(format) }));
  byId("detail-formats").replaceChildren(element("th", { scope: "col", textContent: "Size" }), ...heads);
  byId("detail-rows").replaceChildren(
    ...rows.map(({ name, width, height, cells }) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, name, element("small", { textContent: pixelsInWords(width, height) })),
        ...cells.map((rendition) => element("td", {}, rendition ? cell(rendition, source, largest) : "–")),
      ),
    ),
  );
}

function cell({ key, name, format, bytes }, source, largest) {
  const saving = element("small", { textContent: savingInWords(bytes, source.size) });
  const button = element("button", { className: "cell", type: "button", title: `${bytes} bytes` }, bytesInWords(bytes), saving);
  button.dataset.key = key;
  button.setAttribute("aria-label", `${name} as ${typeName(format)}: ${bytesInWords(bytes)}, ${saving.textContent}. Compare`);
  button.style.setProperty("--share", bytes / largest);
  return button;
}

/** Which one the slider has on its right. */
function markChosen(key) {
  for (const button of byId("detail-rows").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", button.dataset.key === key);
  }
}

async function copySnippet() {
  const button = byId("detail-copy");
  try {
    await navigator.clipboard.writeText(byId("detail-snippet").textContent);
    button.textContent = "Copied";
    announce("HTML copied");
    setTimeout(() => (button.textContent = "Copy"), COPIED_FOR_MS);
  } catch {
    // Not permitted: selected, it is one key away.
    getSelection().selectAllChildren(byId("detail-snippet"));
  }
}
