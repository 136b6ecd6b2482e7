// Owns the page as a whole: it wires intake, uploads, tiles, the dialog, the live panel and the metrics together, and
// keeps the tally.

import { pendingUploads, resume, upload } from "../upload.js";
import { announce, announceEnd } from "./announcer.js";
import { fetchConfig, token, watchEvents } from "./api.js";
import { createDetail } from "./detail.js";
import { byId, perFrame, setText } from "./dom.js";
import { listenForFiles } from "./intake.js";
import { createLive } from "./live.js";
import { createMetrics } from "./metrics.js";
import { createTile } from "./tile.js";
import { bytesInWords, count, either, summaryInWords, typeName, underWayOf } from "./words.js";

const API = location.origin;
/** What upload.js makes JPEG of, where the browser can decode it. */
const CONVERTED = ["image/heic", "image/heif", ".heic", ".heif"];
/** Who stops a photo knows of it. */
const TOLD = ["ready", "rejected", "failed"];

/** How many photos are in each phase. */
const tally = {};
const renderPhoto = perFrame((photo) => photo.tile.show(photo.state, photo.context.cdn));
const renderSummary = perFrame(() => setText(byId("summary"), summaryInWords(tally)));

start();

function start() {
  // At once, so that files that come in before the configuration are not lost to the browser's own drop handling.
  let configured = configure();
  // A server that did not answer before may do so now.
  const configuredAtLast = async () => (await configured) ?? (await (configured = configure()));
  listenForFiles(
    async (files) => {
      hideNotice();
      const context = await configuredAtLast();
      if (context) addFiles(files, context);
    },
    () => showNotice("Folders are not read. Drop the photos themselves."),
  );
  const { showCounts, showLink } = createLive(async () => {
    hideNotice();
    await configuredAtLast();
  });
  watchEvents({ counts: showCounts, metrics: createMetrics() }, showLink);
}

/** What uploads and tiles need to know of the stack; undefined, with a notice on the page, if it does not answer. */
async function configure() {
  try {
    const { cdn, accepted, maxBytes } = await fetchConfig();
    byId("files").accept = [...accepted, ...CONVERTED].join(",");
    byId("accepted").textContent = `${either([...accepted.map(typeName), "HEIC"])}, up to ${bytesInWords(maxBytes)} each`;
    const context = { cdn, limits: { maxBytes, contentTypes: accepted }, openDetail: createDetail(cdn) };
    resumeUploads(context);
    return context;
  } catch (error) {
    showNotice(error.message);
    return undefined;
  }
}

function addFiles(files, context) {
  addPhotos(files.map((file) => ({ name: file.name, size: file.size, file, context })));
  announce(`${count(files.length, "photo")} added.`);
}

/** What was being processed when the page was left. */
function resumeUploads(context) {
  const pending = pendingUploads({ api: API });
  addPhotos(pending.map((one) => ({ name: one.name, size: one.size, pending: one, context })).reverse());
}

/** The newest come first, and among them the order in which they were chosen. */
function addPhotos(photos) {
  if (photos.length === 0) return;
  document.body.classList.remove("is-empty");
  byId("tiles").prepend(...photos.map(makeTile));
  photos.forEach(run);
}

function makeTile(photo) {
  photo.tile = createTile(photo, {
    onOpen: () => photo.context.openDetail(photo.name, photo.file, photo.state.manifest),
    onStop: () => photo.controller.abort(),
    onRetry: () => run(photo),
  });
  return photo.tile.node;
}

/** One life of a tile, from here to an end or a stop. */
async function run(photo) {
  const { file, pending, context } = photo;
  photo.controller = new AbortController();
  const { signal } = photo.controller;
  const options = { api: API, token, limits: context.limits, signal, onProgress: (state) => note(photo, state) };
  try {
    await (pending ? resume(pending, options) : upload(file, options));
  } catch {
    // Any other end was told as a state.
    if (signal.aborted) note(photo, { phase: "stopped", canRetry: true });
  }
}

function note(photo, state) {
  const { phase, error } = state;
  if (photo.state?.phase !== phase) {
    if (photo.state) tally[photo.state.phase] -= 1;
    tally[phase] = (tally[phase] ?? 0) + 1;
    renderSummary();
    if (TOLD.includes(phase)) announceEnd({ name: photo.name, phase, sentence: error?.message }, underWayOf(tally));
  }
  if (phase === "failed") {
    // A photo that is stored need not be sent again; one that is neither stored nor at hand cannot be.
    photo.pending = error.pending;
    state = { ...state, canRetry: Boolean(photo.pending ?? photo.file) };
  }
  photo.state = state;
  renderPhoto(photo);
}

function showNotice(sentence) {
  byId("notice").textContent = sentence;
  byId("notice").hidden = false;
}

function hideNotice() {
  byId("notice").hidden = true;
}
