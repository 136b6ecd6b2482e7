// Owns how files come in: picked, dropped anywhere on the page, or pasted. It hands over lists of files and judges none.

import { byId } from "./dom.js";

/** Calls `onFiles` with every list of files that comes in, and `onFolder` if somebody drops one. */
export function listenForFiles(onFiles, onFolder) {
  listenForPicks(onFiles);
  listenForDrops(onFiles, onFolder);
  listenForPastes(onFiles);
}

function listenForPicks(onFiles) {
  const input = byId("files");
  const take = () => {
    const files = [...input.files];
    // Emptied, so that picking the same file again is a change again.
    input.value = "";
    if (files.length > 0) onFiles(files);
  };
  input.addEventListener("change", take);
  // Whoever was faster than this script.
  take();
}

function listenForDrops(onFiles, onFolder) {
  const veil = byId("veil");
  // Every element under the pointer fires its own enter and leave; the drag has left once they cancel out.
  let depth = 0;
  const setDepth = (value) => {
    depth = Math.max(0, value);
    veil.hidden = depth === 0;
  };
  const onDrag = (type, handle) =>
    addEventListener(type, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      // Without this the browser leaves the page to show the file.
      event.preventDefault();
      handle(event);
    });
  onDrag("dragenter", () => setDepth(depth + 1));
  onDrag("dragleave", () => setDepth(depth - 1));
  onDrag("dragover", (event) => (event.dataTransfer.dropEffect = "copy"));
  onDrag("drop", (event) => {
    setDepth(0);
    const { files, hasFolder } = droppedFiles(event.dataTransfer);
    if (files.length > 0) onFiles(files);
    if (hasFolder) onFolder();
  });
}

/** A folder comes as a file that nobody can read; only its entry tells. */
function droppedFiles(dataTransfer) {
  const items = [...dataTransfer.items].filter((item) => item.kind === "file");
  const isFolder = (item) => item.webkitGetAsEntry?.()?.isDirectory ?? false;
  return {
    files: items.filter((item) => !isFolder(item)).map((item) => item.getAsFile()).filter(Boolean),
    hasFolder: items.some(isFolder),
  };
}

function listenForPastes(onFiles) {
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    onFiles(files);
  });
}
