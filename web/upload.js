// Owns the life of one upload in a browser: prepare, sign, send, wait, and trying again where that can help. It knows
// Darkroom's API and what S3 answers. It never touches the document, and never sends bytes that the API has not granted.

/**
 * @typedef {"preparing" | "signing" | "uploading" | "processing" | "ready" | "rejected" | "failed"} Phase
 *   A file that waits for its turn is `preparing`. After something broke, `signing` or `uploading` may come again.
 *
 * @typedef {object} UploadState
 * @property {Phase} phase
 * @property {number} loaded bytes that were sent
 * @property {number} total bytes to send
 * @property {string} [key] the source's key, from `uploading` on
 * @property {string} [statusUrl] where to ask what became of it, from `uploading` on
 * @property {Manifest} [manifest] with `ready`
 * @property {UploadError} [error] with `rejected` and `failed`
 *
 * @typedef {object} Options
 * @property {string} api where the API is, `https://...`, with its stage if it has one
 * @property {Token} [token] who uploads; a function is asked again, with `refresh`, after a 401
 * @property {(state: UploadState) => void} [onProgress]
 * @property {AbortSignal} [signal] ends the upload; the promise is rejected with the signal's reason
 * @property {string} [articleId] groups uploads in keys
 * @property {Limits} [limits] what the server accepts, where the page knows it; else the server is asked before bytes are sent
 * @property {number} [concurrency] how many files are sent at once on this page: 4
 * @property {Storage | null} [storage] where uploads are kept in mind while they are processed: `sessionStorage`
 *
 * @typedef {string | ((ask: {refresh: boolean}) => string | Promise<string>)} Token
 * @typedef {{maxBytes?: number, contentTypes?: string[]}} Limits
 *
 * @typedef {object} Grant what `POST /upload-url` answers
 * @property {"PUT" | "POST"} method
 * @property {string} uploadUrl
 * @property {Record<string, string>} [headers] of a PUT: exactly these are sent
 * @property {Record<string, string>} [fields] of a POST: they go before the file
 * @property {string} key
 * @property {string} articleId
 * @property {number} expiresIn seconds
 * @property {string} expiresAt
 * @property {string} statusUrl
 * @property {number} maxBytes
 *
 * @typedef {object} PendingUpload an upload that is stored and was being processed
 * @property {string} key
 * @property {string} statusUrl
 * @property {string} name of the file
 * @property {number} size bytes
 * @property {string} type
 * @property {number} startedAt ms since 1970
 *
 * @typedef {object} Rendition
 * @property {string} name
 * @property {string} format
 * @property {string} key
 * @property {string} contentType
 * @property {number} width px
 * @property {number} height px
 * @property {number} bytes
 *
 * @typedef {object} Manifest
 * @property {number} schema
 * @property {"ready" | "rejected" | "failed" | "removed"} status
 * @property {string} revision
 * @property {{key: string, etag: string, versionId?: string, sequencer?: string, size: number, contentType?: string,
 *   width?: number, height?: number}} source width and height as displayed, px
 * @property {Rendition[]} renditions
 * @property {{thumbhash: string, color: string}} [placeholder]
 * @property {{code: string, message: string}} [rejection]
 * @property {{code: string, message: string}} [failure]
 * @property {string} recipe
 * @property {string} processedAt
 */

const SENT_AT_ONCE = 4;
const ASKED_AT_ONCE = 4;
const TRIES = 6;
const GRANTS = 3;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;
const ANSWER_WITHIN_MS = 30_000;
/** Without a byte on its way for so long, the connection is taken for dead. */
const STALLED_AFTER_MS = 60_000;
const POLL_MS = 1000;
const GIVE_UP_AFTER_MS = 15 * 60_000;
/** Before a larger file is hashed, the server is asked whether it would take it. */
const HASH_UNASKED_BYTES = 8 * 1024 * 1024;
/** The largest canvas of iOS; a larger one stays blank there, without a word. */
const MAX_CANVAS_PX = 4096 * 4096;
const JPEG_QUALITY = 0.92;
const STORED_AS = "darkroom.uploads";
const FILE_IS_AT_FAULT = ["payload_too_large", "unsupported_type", "empty", "unreadable"];
/** What an answer without a problem document means. @type {Record<number, string>} */
const CODES = { 401: "unauthorized", 404: "not_found", 413: "payload_too_large", 429: "too_many_requests" };

/** Why an upload came to nothing. `message` is a sentence for people. */
export class UploadError extends Error {
  /**
   * @param {string} code the server's stable code (`payload_too_large`, `corrupt`, ...), or `network`, `storage_refused`,
   *   `unreadable`, `timeout`
   * @param {string} message
   * @param {{status?: number, field?: string, limit?: number, phase?: "rejected" | "failed", retryAfterMs?: number,
   *   mayPass?: boolean, cause?: unknown}} [more]
   */
  constructor(code, message, more = {}) {
    super(message, { cause: more.cause });
    this.name = "UploadError";
    this.code = code;
    /** HTTP's, of the answer that said so; 0 without an answer. */
    this.status = more.status ?? 0;
    /** Which field of the request is at fault. */
    this.field = more.field;
    this.limit = more.limit;
    /** `rejected`: the file is at fault, and trying again cannot help.
     * @type {"rejected" | "failed"} */
    this.phase = more.phase ?? (FILE_IS_AT_FAULT.includes(code) ? "rejected" : "failed");
    /** Where the file is stored and only the end of its processing was not seen; `resume` goes on from there.
     * @type {PendingUpload | undefined} */
    this.pending = undefined;
    /** @internal */
    this.retryAfterMs = more.retryAfterMs;
    /** Whether the same request may fare better a moment later. @internal */
    this.mayPass = more.mayPass ?? (this.status === 0 || this.status === 429 || this.status >= 500);
  }
}

/**
 * Uploads a file and waits until it is processed.
 *
 * @param {File | Blob} file
 * @param {Options} options
 * @returns {Promise<Manifest>}
 * @throws {UploadError} after the state that tells of it
 */
export function upload(file, options) {
  const report = reporter(file.size, options);
  return told(report, options, async () => {
    const limit = options.concurrency ?? SENT_AT_ONCE;
    report({ phase: "preparing" });
    // Only sending takes a turn: what is being processed does not hold up the next file.
    const grant = await inTurn(sending, limit, options.signal, () => signAndSend(file, options, report));
    const { key, statusUrl } = grant;
    const { name = "", size, type } = /** @type {File} */ (file);
    return settled({ key, statusUrl, name, size, type, startedAt: Date.now() }, options, report);
  });
}

/**
 * Goes on waiting for an upload that was being processed when the page went away.
 *
 * @param {PendingUpload} pending one of `pendingUploads`, or an error's
 * @param {Options} options
 * @returns {Promise<Manifest>}
 * @throws {UploadError}
 */
export function resume(pending, options) {
  const report = reporter(pending.size, options);
  return told(report, options, () => settled(pending, options, report));
}

/**
 * What was being processed when this page went away, the oldest first.
 *
 * @param {{api: string, storage?: Storage | null}} options
 * @returns {PendingUpload[]}
 */
export function pendingUploads(options) {
  return memory(options).read();
}

/**
 * Asks for a URL for this file, with type, length and SHA-256 signed in. For who sends the bytes by other means.
 *
 * @param {File | Blob} file
 * @param {Options & {method?: "PUT" | "POST"}} options
 * @returns {Promise<Grant>}
 * @throws {UploadError}
 */
export async function sign(file, options) {
  const { name, size, type } = /** @type {File} */ (file);
  const limits = { ...learned.get(options.api), ...options.limits };
  refuseAtSight(file, limits);
  const { articleId, method } = options;
  // Without a type of its own (some systems know none for a file) the server guesses it from the name.
  const wish = { contentType: type || undefined, contentLength: size, fileName: name || undefined, articleId, method };
  if (limits.maxBytes === undefined && size > HASH_UNASKED_BYTES) await askForUrl(wish, options);
  return askForUrl({ ...wish, checksumSha256: await sha256(file) }, options);
}

/**
 * Asks what became of an upload, as often as the server would have it, until it is known.
 *
 * @param {{statusUrl: string}} grant
 * @param {Options} options
 * @returns {Promise<Manifest>}
 * @throws {UploadError}
 */
export async function waitForManifest({ statusUrl }, options) {
  const giveUpAt = Date.now() + GIVE_UP_AFTER_MS;
  for (;;) {
    const ask = () => retrying(options.signal, () => call(statusUrl, {}, options));
    const { body, retryAfterMs } = await inTurn(asking, ASKED_AT_ONCE, options.signal, ask);
    const { status, manifest } = body;
    if (status === "ready") return manifest;
    if (status === "rejected" || status === "failed") {
      const { code, message } = body.rejection ?? manifest?.rejection ?? manifest?.failure ?? {};
      throw new UploadError(code ?? status, message ?? `The upload ${status}.`, { status: 200, phase: status });
    }
    if (Date.now() > giveUpAt) throw new UploadError("timeout", "The file is uploaded, but was not processed yet.");
    await pause(retryAfterMs ?? POLL_MS, options.signal);
  }
}

/**
 * @param {File | Blob} file
 * @param {Options} options
 * @param {Report} report
 * @returns {Promise<Grant>}
 */
async function signAndSend(file, options, report) {
  const { signal } = options;
  const body = await asAccepted(file, options);
  for (let grants = 1; ; grants += 1) {
    report({ phase: "signing", loaded: 0, total: body.size });
    const grant = await sign(body, options);
    const { key, statusUrl } = grant;
    const expiresAt = performance.now() + grant.expiresIn * 1000;
    const send = () => {
      if (performance.now() > expiresAt) throw expired();
      report({ phase: "uploading", loaded: 0, key, statusUrl });
      return put(body, grant, signal, (loaded) => report({ loaded }));
    };
    try {
      await retrying(signal, send);
    } catch (error) {
      if (!(error instanceof UploadError) || error.code !== EXPIRED || grants === GRANTS) throw error;
      if (!(await isStored(grant, options))) continue;
    }
    report({ phase: "processing", loaded: body.size });
    return grant;
  }
}

/** Whether the bytes have arrived, where no answer to them did: what is there is not sent a second time.
 *
 * @param {Grant} grant
 * @param {Options} options
 */
async function isStored({ statusUrl }, options) {
  try {
    const { body } = await retrying(options.signal, () => call(statusUrl, {}, options));
    return body.status !== "awaiting_upload";
  } catch (error) {
    if (error instanceof UploadError && error.status === 404) return false;
    throw error;
  }
}

/**
 * Waits for what becomes of a stored upload, and keeps it in mind meanwhile.
 *
 * @param {PendingUpload} pending
 * @param {Options} options
 * @param {Report} report
 */
async function settled(pending, options, report) {
  const { key, statusUrl, size } = pending;
  const kept = memory(options);
  kept.add(pending);
  report({ phase: "processing", loaded: size, total: size, key, statusUrl });
  try {
    const manifest = await waitForManifest(pending, options);
    kept.remove(key);
    return manifest;
  } catch (error) {
    // Only the API knows what became of it. Without its word, a later page may still hear it.
    const isOver = options.signal?.aborted || (error instanceof UploadError && [200, 404].includes(error.status));
    if (isOver) kept.remove(key);
    else if (error instanceof UploadError) error.pending = pending;
    throw error;
  }
}

/**
 * Tells how a job ends, then ends like it.
 *
 * @param {Report} report
 * @param {Options} options
 * @param {() => Promise<Manifest>} job
 */
async function told(report, { signal }, job) {
  try {
    const manifest = await job();
    report({ phase: "ready", manifest });
    return manifest;
  } catch (cause) {
    signal?.throwIfAborted();
    const error = cause instanceof UploadError ? cause : new UploadError("internal_error", String(cause), { cause });
    report({ phase: error.phase, error });
    throw error;
  }
}

/**
 * @typedef {(change: Partial<UploadState>) => void} Report
 *
 * @param {number} total bytes
 * @param {Options} options
 * @returns {Report}
 */
function reporter(total, { onProgress, signal }) {
  /** @type {UploadState} */
  let state = { phase: "preparing", loaded: 0, total };
  return (change) => {
    state = { ...state, ...change };
    if (signal?.aborted) return;
    try {
      onProgress?.(state);
    } catch (error) {
      // A page that cannot show it must not end the upload.
      reportError(error);
    }
  };
}

// Before anything is sent

/** What servers have said of themselves, by API.
 * @type {Map<string, Limits>} */
const learned = new Map();

/**
 * @param {File | Blob} file
 * @param {Limits} limits
 */
function refuseAtSight({ size, type }, { maxBytes, contentTypes }) {
  if (size === 0) throw new UploadError("empty", "The file is empty.");
  if (maxBytes !== undefined && size > maxBytes) {
    const message = `The file has ${size} bytes; at most ${maxBytes} are accepted.`;
    throw new UploadError("payload_too_large", message, { field: "contentLength", limit: maxBytes });
  }
  if (type && contentTypes && !contentTypes.includes(type)) {
    const names = contentTypes.map((known) => known.replace(/^image\//, "").toUpperCase());
    const message = `This type of file is not accepted; accepted are ${names.join(", ")}.`;
    throw new UploadError("unsupported_type", message, { field: "contentType" });
  }
}

/** Base64; undefined where the browser does not hash: on pages that came without TLS.
 *
 * @param {Blob} file
 */
async function sha256(file) {
  if (!globalThis.crypto?.subtle) return undefined;
  const bytes = await file.arrayBuffer().catch((cause) => {
    throw new UploadError("unreadable", "The file cannot be read. Was it moved, changed or deleted?", { cause });
  });
  return btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))));
}

/** The file, or a JPEG of it if it is a HEIC, which Safari can decode.
 *
 * @param {File | Blob} file
 * @param {Options} options
 */
async function asAccepted(file, { limits }) {
  const { name = "", type } = /** @type {File} */ (file);
  const isHeic = /^image\/hei[cf]/.test(type) || (!type && /\.hei[cf]$/i.test(name));
  if (!isHeic || limits?.contentTypes?.includes(type)) return file;
  try {
    const jpeg = await toJpeg(file);
    return new File([jpeg], name.replace(/(\.hei[cf])?$/i, ".jpg"), { type: jpeg.type });
  } catch (cause) {
    const message = "This browser cannot read HEIC photos. Save the photo as JPEG, or upload it with Safari.";
    throw new UploadError("unsupported_type", message, { field: "contentType", cause });
  }
}

/** Upright, and no larger than every browser's canvas.
 *
 * @param {Blob} file
 */
async function toJpeg(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, Math.sqrt(MAX_CANVAS_PX / (bitmap.width * bitmap.height)));
  const canvas = new OffscreenCanvas(Math.floor(bitmap.width * scale), Math.floor(bitmap.height * scale));
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
}

// The API

/**
 * @param {object} wish
 * @param {Options} options
 * @returns {Promise<Grant>}
 */
async function askForUrl(wish, options) {
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(wish) };
  const url = `${options.api.replace(/\/+$/, "")}/upload-url`;
  const { body } = await retrying(options.signal, () => call(url, init, options));
  learned.set(options.api, { maxBytes: body.maxBytes });
  return body;
}

/**
 * One request with the user's token, and its JSON; every other end is an `UploadError`.
 *
 * @param {string} url
 * @param {RequestInit} init
 * @param {Options} options
 * @param {boolean} [refresh] whether the last token was refused
 * @returns {Promise<{body: any, retryAfterMs: number | undefined}>}
 */
async function call(url, init, options, refresh = false) {
  const { api, signal, token } = options;
  try {
    const bearer = typeof token === "function" ? await token({ refresh }) : token;
    const headers = { ...init.headers, ...(bearer && { Authorization: `Bearer ${bearer}` }) };
    // no-cache: an answer that was not asked for anew would hide that the upload is ready.
    const cache = /** @type {const} */ ("no-cache");
    const address = new URL(url, new URL(api, globalThis.location?.href));
    const response = await fetch(address, { ...init, headers, cache, signal: within(ANSWER_WITHIN_MS, signal) });
    if (response.ok) return { body: await response.json(), retryAfterMs: retryAfterMs(response) };
    if (response.status === 401 && typeof token === "function" && !refresh) return call(url, init, options, true);
    throw await problemOf(response);
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof UploadError) throw cause;
    // `fetch` fails with a TypeError, in the page's own token function too; all else is that function's word.
    const isNetwork = cause instanceof TypeError || cause instanceof SyntaxError || cause instanceof DOMException;
    if (isNetwork) throw new UploadError("network", "The server cannot be reached.", { cause });
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new UploadError("unauthorized", message, { status: 401, cause });
  }
}

/** From `application/problem+json`; a gateway may have answered with anything else.
 *
 * @param {Response} response
 */
async function problemOf(response) {
  const { status } = response;
  const told = await response.json().catch(() => undefined);
  const { code, detail, message, field, limit } = told && typeof told === "object" ? told : {};
  const sentence = detail ?? message ?? `The server answered ${status}.`;
  const more = { status, field, limit, retryAfterMs: retryAfterMs(response) };
  const plain = CODES[status] ?? (status >= 500 ? "internal_error" : `http_${status}`);
  return new UploadError(code ?? plain, sentence, more);
}

/** Given in seconds or as a date; undefined without one.
 *
 * @param {Response} response
 */
function retryAfterMs({ headers }) {
  const value = headers.get("Retry-After");
  if (!value) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

// Storage

const EXPIRED = "url_expired";

function expired() {
  return new UploadError(EXPIRED, "The address to upload to has expired.", { mayPass: false });
}

/**
 * By XMLHttpRequest, since `fetch` tells nothing of its progress.
 *
 * @param {Blob} body
 * @param {Grant} grant
 * @param {AbortSignal | undefined} signal
 * @param {(loaded: number) => void} onLoaded
 * @returns {Promise<void>}
 */
function put(body, { uploadUrl, headers = {} }, signal, onLoaded) {
  return untilAborted(signal, (resolve, reject) => {
    const request = new XMLHttpRequest();
    const lost = () => reject(new UploadError("network", "The connection broke while the file was being sent."));
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let stalled;
    const watch = () => {
      clearTimeout(stalled);
      stalled = setTimeout(lost, STALLED_AFTER_MS);
    };
    request.upload.onprogress = ({ loaded }) => {
      watch();
      onLoaded(loaded);
    };
    request.onload = () => (isTaken(request.status) ? resolve() : reject(refusalOf(request)));
    request.onerror = lost;
    request.open("PUT", uploadUrl);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.send(body);
    watch();
    return () => {
      clearTimeout(stalled);
      request.abort();
    };
  });
}

/** 412 too: the URL writes once and is ours alone, so we have written already, and the answer got lost.
 *
 * @param {number} status
 */
function isTaken(status) {
  return (status >= 200 && status < 300) || status === 412;
}

/** S3 explains itself in XML: `<Error><Code>AccessDenied</Code><Message>Request has expired</Message>...`
 *
 * @param {XMLHttpRequest} request
 */
function refusalOf({ status, responseText }) {
  const text = (/** @type {string} */ tag) => new RegExp(`<${tag}>([^<]*)`).exec(responseText)?.[1] ?? "";
  const [code, message] = [text("Code"), text("Message")];
  if (code === "ExpiredToken" || (status === 403 && /expired/i.test(message))) return expired();
  // S3's ways to say: once more.
  const mayPass = status === 429 || status >= 500 || /^(RequestTimeout|ConditionalRequestConflict|OperationAborted)$/.test(code);
  const sentence = `Storage refused the file (${`${status} ${code}`.trim()}). ${message}`.trim();
  return new UploadError("storage_refused", sentence, { status, mayPass });
}

// What was uploaded and is not settled yet

/**
 * The uploads under way to this API that outlive the page. A browser that keeps nothing only costs the reload.
 *
 * @param {{api: string, storage?: Storage | null}} options
 */
function memory({ api, storage }) {
  const name = `${STORED_AS} ${api}`;
  const store = () => (storage === undefined ? globalThis.sessionStorage : storage);
  /** @returns {PendingUpload[]} */
  const read = () => {
    try {
      const list = JSON.parse(store()?.getItem(name) ?? "[]");
      return list.filter((/** @type {any} */ one) => typeof one?.key === "string" && typeof one.statusUrl === "string");
    } catch {
      return [];
    }
  };
  /** @param {PendingUpload[]} list */
  const write = (list) => {
    try {
      if (list.length > 0) store()?.setItem(name, JSON.stringify(list));
      else store()?.removeItem(name);
    } catch {
      // Full, or forbidden.
    }
  };
  const without = (/** @type {string} */ key) => read().filter((one) => one.key !== key);
  return {
    read,
    add: (/** @type {PendingUpload} */ pending) => write([...without(pending.key), pending]),
    remove: (/** @type {string} */ key) => write(without(key)),
  };
}

// Time

/**
 * Tries again what may pass, after longer and longer pauses.
 *
 * @template T
 * @param {AbortSignal | undefined} signal
 * @param {() => Promise<T>} attempt
 * @returns {Promise<T>}
 */
async function retrying(signal, attempt) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof UploadError) || !error.mayPass || tries === TRIES) throw error;
      // Half of it by chance, so that clients which a fault has brought into step do not stay so.
      const longest = FIRST_PAUSE_MS * 2 ** tries;
      await pause(error.retryAfterMs ?? (longest * (1 + Math.random())) / 2, signal);
    }
  }
}

/**
 * Without a network, as long as that lasts.
 *
 * @param {number} ms
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<void>}
 */
function pause(ms, signal) {
  return untilAborted(signal, (resolve) => {
    const go = () => resolve();
    globalThis.addEventListener?.("online", go);
    const timer = navigator.onLine === false ? undefined : setTimeout(go, Math.min(ms, LONGEST_PAUSE_MS));
    return () => {
      clearTimeout(timer);
      globalThis.removeEventListener?.("online", go);
    };
  });
}

/**
 * @typedef {{running: number, waiting: {limit: number, start: () => void}[]}} Line
 * @type {Line} */
const sending = { running: 0, waiting: [] };
/** @type {Line} */
const asking = { running: 0, waiting: [] };

/**
 * Runs a job when less than `limit` of its line are running, first come first served.
 *
 * @template T
 * @param {Line} line
 * @param {number} limit
 * @param {AbortSignal | undefined} signal
 * @param {() => Promise<T>} job
 * @returns {Promise<T>}
 */
async function inTurn(line, limit, signal, job) {
  await untilAborted(signal, (/** @type {(none: void) => void} */ resolve) => {
    const one = { limit, start: () => resolve() };
    line.waiting.push(one);
    startNext(line);
    return () => void (line.waiting = line.waiting.filter((other) => other !== one));
  });
  try {
    return await job();
  } finally {
    line.running -= 1;
    startNext(line);
  }
}

/** @param {Line} line */
function startNext(line) {
  while (line.waiting.length > 0 && line.running < line.waiting[0].limit) {
    line.running += 1;
    line.waiting.shift()?.start();
  }
}

/**
 * A promise that an abort rejects. What `begin` returns cleans up, however it ends, before anybody hears of the end.
 *
 * @template T
 * @param {AbortSignal | undefined} signal
 * @param {(resolve: (value: T) => void, reject: (reason: unknown) => void) => () => void} begin
 * @returns {Promise<T>}
 */
function untilAborted(signal, begin) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    let cleanUp = () => {};
    /** @template V @param {(value: V) => void} settle @returns {(value: V) => void} */
    const ending = (settle) => (value) => {
      signal?.removeEventListener("abort", abort);
      cleanUp();
      settle(value);
    };
    const fail = ending(reject);
    const abort = () => fail(signal?.reason);
    signal?.addEventListener("abort", abort);
    cleanUp = begin(ending(resolve), fail);
  });
}

/** A signal that also fires after a time. Where the two cannot be joined, the caller's counts.
 *
 * @param {number} ms
 * @param {AbortSignal | undefined} signal
 */
function within(ms, signal) {
  const timeout = AbortSignal.timeout(ms);
  if (!signal) return timeout;
  return AbortSignal.any ? AbortSignal.any([signal, timeout]) : signal;
}
