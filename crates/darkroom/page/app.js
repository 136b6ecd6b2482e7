// Owns the page as a whole: it wires intake, uploads, tiles and the dialog together, and keeps the counts.

import { fetchConfig } from "./api.js";
import { createDetail } from "./detail.js";
import { byId } from "./dom.js";
import { listenForFiles } from "./intake.js";
import { createTile } from "./tile.js";
import { upload } from "./upload.js";
import { bytesInWords, count, either, typeName } from "./words.js";

// Long enough for several photos that become ready together to be said in one go.
const ANNOUNCE_AFTER_MS = 700;
const ANNOUNCED = ["ready", "rejected", "failed"];

/** What each photo is at, by its tile. A Map keeps them countable without asking the document. */
const phases = new Map();
let announcements = [];

start();

function start() {
  // At once, so that files that come in before the configuration are not lost to the browser's own drop handling.
  let configured = configure();
  listenForFiles(
    async (files) => {
      hideNotice();
      // A server that did not answer before may do so now.
      const context = (await configured) ?? (await (configured = configure()));
      if (context) addPhotos(files, context);
    },
    () => showNotice("Folders are not read. Drop the photos themselves."),
  );
}

/** The configuration and the dialog that needs it; undefined, with a notice on the page, if there is none. */
async function configure() {
  try {
    const config = await fetchConfig();
    byId("files").accept = config.accepted.join(",");
    byId("accepted").textContent = `${either(config.accepted.map(typeName))}, up to ${bytesInWords(config.maxBytes)} each`;
    return { config, openDetail: createDetail(config.cdn, announce) };
  } catch (problem) {
    showNotice(problem.message);
    return undefined;
  }
}

/** The newest files come first, and among them the order in which they were chosen. */
function addPhotos(files, context) {
  document.body.classList.remove("is-empty");
  byId("tiles").prepend(...files.map((file) => addPhoto(file, context)));
}

function addPhoto(file, { config, openDetail }) {
  let manifest;
  const tile = createTile(file, { onOpen: () => openDetail(file.name, manifest), onRetry: () => run() });
  const run = () =>
    upload(file, config, (state) => {
      manifest = state.manifest;
      tile.show(state, config.cdn);
      notePhase(tile.node, file, state);
    });
  run();
  return tile.node;
}

function notePhase(node, file, { phase, sentence }) {
  if (phases.get(node) === phase) return;
  phases.set(node, phase);
  byId("summary").textContent = summaryInWords([...phases.values()]);
  if (ANNOUNCED.includes(phase)) announce(`${file.name}: ${phase}.${sentence ? ` ${sentence}` : ""}`);
}

/** `3 ready · 1 rejected · 2 under way`. */
function summaryInWords(all) {
  const numbers = ANNOUNCED.map((phase) => [all.filter((p) => p === phase).length, phase]);
  const underWay = all.filter((phase) => !ANNOUNCED.includes(phase)).length;
  const parts = [...numbers, [underWay, "under way"]].filter(([number]) => number > 0);
  return [count(all.length, "photo"), ...parts.map(([number, words]) => `${number} ${words}`)].join(" · ");
}

/** Says it to screen readers, together with what else comes up in the same moment. */
function announce(sentence) {
  announcements.push(sentence);
  if (announcements.length > 1) return;
  setTimeout(() => {
    byId("announcer").textContent = announcements.join(" ");
    announcements = [];
  }, ANNOUNCE_AFTER_MS);
}

function showNotice(sentence) {
  byId("notice").textContent = sentence;
  byId("notice").hidden = false;
}

function hideNotice() {
  byId("notice").hidden = true;
}
