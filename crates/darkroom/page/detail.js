// Owns the dialog about one ready photo: the picture, its renditions, the HTML to copy, the manifest.

import { byId, element } from "./dom.js";
import { pictureElement, pictureHtml, urlOf, wholeRenditions } from "./picture.js";
import { showPlaceholder } from "./tile.js";
import { bytesInWords, percentInWords, typeName } from "./words.js";

const COPIED_FOR_MS = 2000;

/** Makes the dialog work; the answer opens it for a file's name and its manifest. */
export function createDetail(cdn, announce) {
  const dialog = byId("detail");
  byId("detail-close").addEventListener("click", () => dialog.close());
  byId("detail-copy").addEventListener("click", () => copySnippet(announce));
  // The dialog itself is only hit outside of its contents, that is on the backdrop.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return (name, manifest) => {
    fill(name, manifest, cdn);
    dialog.showModal();
    dialog.scrollTop = 0;
  };
}

function fill(name, manifest, cdn) {
  const { source, renditions } = manifest;
  byId("detail-title").textContent = name;
  byId("detail-facts").textContent = factsInWords(source);
  byId("detail-picture").replaceChildren(largePicture(name, manifest, cdn));
  byId("detail-rows").replaceChildren(...renditions.map((rendition) => row(rendition, source, cdn)));
  byId("detail-snippet").textContent = pictureHtml(manifest, cdn);
  byId("detail-manifest").textContent = JSON.stringify(manifest, null, 2);
  byId("detail-manifest").closest("details").open = false;
}

function factsInWords({ width, height, size, contentType }) {
  const facts = [`${width} × ${height} px`, bytesInWords(size)];
  if (contentType) facts.push(typeName(contentType));
  return `Original: ${facts.join(" · ")}`;
}

/** In its final size from the start, with the placeholder beneath until it has loaded. */
function largePicture(name, manifest, cdn) {
  const whole = wholeRenditions(manifest);
  const picture = pictureElement(whole, cdn, { alt: name, sizes: "(min-width: 60rem) 34rem, 100vw" });
  const img = picture.querySelector("img");
  picture.style.setProperty("--ratio", img.width / img.height || manifest.source.width / manifest.source.height);
  picture.style.setProperty("--natural", `${Math.max(...whole.map((r) => r.width))}px`);
  showPlaceholder(picture, manifest.placeholder);
  img.addEventListener("load", () => (picture.style.background = ""));
  return picture;
}

function row(rendition, source, cdn) {
  const { name, format, width, height, bytes, key } = rendition;
  const link = element("a", { href: urlOf(cdn, key), target: "_blank", rel: "noopener", textContent: "Open" });
  link.setAttribute("aria-label", `Open ${name} as ${typeName(format)} in a new tab`);
  return element(
    "tr",
    {},
    element("th", { scope: "row", textContent: name }),
    element("td", {}, element("span", { className: "format", textContent: typeName(format) })),
    element("td", { className: "number", textContent: `${width} × ${height}` }),
    element("td", { className: "number", textContent: bytesInWords(bytes), title: `${bytes} bytes` }),
    element("td", { className: "number", textContent: percentInWords(bytes, source.size) }),
    element("td", { className: "number" }, link),
  );
}

async function copySnippet(announce) {
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
