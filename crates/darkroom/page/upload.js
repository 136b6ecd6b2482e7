// Owns the life of one upload, from a file to its manifest: check, sign, send, wait. It reports every phase and knows
// nothing of the document.

import { Problem, fetchStatus, requestUploadUrl } from "./api.js";
import { bytesInWords, either, typeName } from "./words.js";

const CONCURRENT_UPLOADS = 3;
const FIRST_POLL_MS = 500;
const SLOWEST_POLL_MS = 2000;
// A server that says "Retry-After: 0" is not asked in a tight loop, and one that errs is not waited for all day.
const SHORTEST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 60_000;
const GIVE_UP_AFTER_MS = 10 * 60_000;
const POLL_ERRORS_BORNE = 5;
/** Answers that mean the file itself is at fault, so that trying again cannot help. */
const REFUSALS = [400, 413, 415];

const takeTurn = turns(CONCURRENT_UPLOADS);

/** Why this file is not worth sending, as a sentence; undefined if it is. The server checks all of it again. */
export function reasonToRefuse(file, { accepted, maxBytes }) {
  if (file.size === 0) return "The file is empty.";
  if (file.type && !accepted.includes(file.type)) {
    return `${typeName(file.type)} is not accepted. Send ${either(accepted.map(typeName))}.`;
  }
  if (file.size > maxBytes) {
    return `Too large: a photo may have ${bytesInWords(maxBytes)} at most.`;
  }
  return undefined;
}

/**
 * Uploads one file. `onPhase` hears `{phase, percent?, sentence?, manifest?}` in this order: waiting, signing, uploading
 * (often), processing, and last one of ready, rejected, failed. Never throws.
 */
export async function upload(file, config, onPhase) {
  const refusal = reasonToRefuse(file, config);
  if (refusal) return onPhase({ phase: "rejected", sentence: refusal });
  try {
    onPhase({ phase: "waiting" });
    // Only sending takes a turn: a photo that is being processed does not hold up the next one.
    const statusUrl = await takeTurn(() => signAndSend(file, onPhase));
    onPhase({ phase: "processing" });
    return onPhase(outcomeOf(await waitUntilFinal(statusUrl)));
  } catch (error) {
    return onPhase({ phase: REFUSALS.includes(error.status) ? "rejected" : "failed", sentence: error.message });
  }
}

async function signAndSend(file, onPhase) {
  onPhase({ phase: "signing" });
  const signed = await requestUploadUrl(file);
  onPhase({ phase: "uploading", percent: 0 });
  await send(file, signed, (percent) => onPhase({ phase: "uploading", percent }));
  return signed.statusUrl;
}

/** PUTs the bytes. By XMLHttpRequest, because fetch tells nothing of its progress. */
function send(file, { uploadUrl, headers }, onPercent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", uploadUrl);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onPercent(Math.floor((100 * event.loaded) / event.total));
    };
    request.onload = () => (isStored(request.status) ? resolve() : reject(storageProblem(request)));
    request.onerror = () => reject(new Problem("The connection to storage broke while the photo was being sent."));
    // A slice has no type, so the browser adds no Content-Type beside the signed headers.
    request.send(file.slice());
  });
}

/** 412 too: the URL writes once, so somebody with it, which is us, has written already and the answer got lost. */
function isStored(status) {
  return (status >= 200 && status < 300) || status === 412;
}

/** S3 explains itself in XML, for example <Error><Code>AccessDenied</Code><Message>Request has expired</Message>. */
function storageProblem(request) {
  const message = /<Message>([^<]+)<\/Message>/.exec(request.responseText)?.[1];
  const sentence = `Storage refused the photo (${request.status})${message ? `: ${message}` : ""}`;
  // The status is left out: storage refusing a signed request is a fault of the set-up, not of the photo.
  return new Problem(/[.!?]$/.test(sentence) ? sentence : `${sentence}.`);
}

/** Asks for the status until it is final: as often as Retry-After says, otherwise less and less often. */
async function waitUntilFinal(statusUrl) {
  const giveUpAt = performance.now() + GIVE_UP_AFTER_MS;
  let pauseMs = FIRST_POLL_MS;
  let errors = 0;
  while (performance.now() < giveUpAt) {
    await sleep(pauseMs);
    const answer = await fetchStatus(statusUrl).catch((problem) => {
      errors += 1;
      if (!isPassing(problem) || errors > POLL_ERRORS_BORNE) throw problem;
      return problem;
    });
    if (["ready", "rejected", "failed"].includes(answer.status)) return answer;
    pauseMs = nextPause(pauseMs, answer.retryAfterMs);
  }
  throw new Problem("Still not processed after ten minutes. Is the worker running?");
}

function nextPause(pauseMs, retryAfterMs) {
  const wanted = retryAfterMs ?? Math.min(pauseMs * 1.5, SLOWEST_POLL_MS);
  return Math.min(Math.max(wanted, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS);
}

/** No answer, too many requests or a fault of the server: the next poll may fare better. */
function isPassing(problem) {
  return problem.status === 0 || problem.status === 429 || problem.status >= 500;
}

/** The final phase, from the final answer of the API. */
function outcomeOf({ status, manifest, rejection }) {
  if (status === "ready") return { phase: "ready", manifest };
  if (status === "rejected") {
    const reason = rejection ?? manifest?.rejection;
    return { phase: "rejected", sentence: reason?.message ?? "The photo was rejected." };
  }
  return { phase: "failed", sentence: manifest?.failure?.message ?? "Processing failed. The dead-letter queue has the message." };
}

/** A function that runs jobs, at most `limit` at a time, first come first served. */
function turns(limit) {
  const waiting = [];
  let running = 0;
  const startNext = () => {
    if (running >= limit || waiting.length === 0) return;
    running += 1;
    waiting.shift()();
  };
  return async (job) => {
    await new Promise((start) => {
      waiting.push(start);
      startNext();
    });
    try {
      return await job();
    } finally {
      running -= 1;
      startNext();
    }
  };
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
