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
 * @property {Manifest} [manifest] with `ready`
 * @property {UploadError} [error] with `rejected` and `failed`
 *
 * @typedef {object} Options
 * @property {string} api where the API is, `https://...`, with its stage if it has one
 * @property {Token} [token] who uploads; a function is asked again, with `refresh`, after a 401
 * @property {(state: UploadState) => void} [onProgress]
 * @property {AbortSignal} [signal] ends it, by rejecting with its reason. What has arrived by then stays
 * @property {string} [articleId] groups uploads in keys
 * @property {Limits} [limits] what the server accepts, where the page knows it; else the server says so before bytes are sent
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
/** When all have left the browser, something on the way may still hold them: so slowly they may arrive. */
const SLOWEST_BYTES_PER_MS = 10;
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
    this.mayPass = more.mayPass ?? (code === "network" || [408, 429].includes(this.status) || this.status >= 500);
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
export async function upload(file, options) {
  if (!(file instanceof Blob)) throw new TypeError("upload() takes a File or a Blob.");
  const report = reporter(file.size, options);
  return told(report, options, async () => {
    report({ phase: "preparing" });
    // Before it waits for its turn: what is to be refused anyway is refused at once.
    if (!isHeic(file)) refuseAtSight(file, limitsOf(options));
    const limit = options.concurrency && options.concurrency > 0 ? options.concurrency : SENT_AT_ONCE;
    // Only sending takes a turn: what is being processed does not hold up the next file.
    const { key } = await inTurn(sending, limit, options.signal, () => signAndSend(file, options, report));
    const { name = "", size, type } = /** @type {File} */ (file);
    const pending = { key, name, size, type, startedAt: Date.now() };
    return settled(pending, options, report, () => unsettled.delete(file));
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
export async function resume(pending, options) {
  const report = reporter(pending.size, options);
  return told(report, options, () => settled(pending, options, report));
}

/**
 * What was being processed when this page went away and nobody on it waits for yet, the oldest first.
 *
 * @param {{api: string, storage?: Storage | null}} options
 * @returns {PendingUpload[]}
 */
export function pendingUploads(options) {
  return memory(options).read().filter(({ key }) => !awaited.has(key));
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
  const limits = limitsOf(options);
  refuseAtSight(file, limits);
  const { articleId, method } = options;
  // Without a type of its own (some systems know none for a file) the server guesses it from the name.
  const wish = { contentType: type || undefined, contentLength: size, fileName: name || undefined, articleId, method };
  if (limits.maxBytes === undefined && size > HASH_UNASKED_BYTES) await askForUrl(wish, options);
  return askForUrl({ ...wish, checksumSha256: await abortable(sha256(file), options.signal) }, options);
}

/**
 * Asks what became of an upload, as often as the server would have it, until it is known.
 *
 * @param {{key: string}} grant
 * @param {Options} options
 * @returns {Promise<Manifest>}
 * @throws {UploadError}
 */
export async function waitForManifest({ key }, options) {
  const giveUpAt = Date.now() + GIVE_UP_AFTER_MS;
  for (;;) {
    const { body, retryAfterMs } = await askForStatus(key, options);
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

/** Of each file the grant of which nobody knows yet whether it was used: what is there is not sent a second time.
 * @type {WeakMap<Blob, {api: string, articleId: string | undefined, grant: Grant}>} */
const unsettled = new WeakMap();

/**
 * @param {File | Blob} file
 * @param {Options} options
 * @param {Report} report
 * @returns {Promise<Grant>}
 */
async function signAndSend(file, options, report) {
  const { api, articleId } = options;
  const before = unsettled.get(file);
  const isSame = before?.api === api && before.articleId === articleId;
  if (isSame && (await isStored(before.grant, options))) return before.grant;
  const body = await abortable(asAccepted(file, options), options.signal);
  for (let grants = 1; ; grants += 1) {
    report({ phase: "signing", loaded: 0, total: body.size });
    const grant = await sign(body, options);
    unsettled.set(file, { api, articleId, grant });
    try {
      await send(body, grant, options, report);
      return grant;
    } catch (error) {
      if (!(error instanceof UploadError)) throw error;
      const isExpired = error.code === EXPIRED;
      // An answer may have got lost before.
      if ((isExpired || error.mayPass) && (await isStored(grant, options))) return grant;
      unsettled.delete(file);
      if (!isExpired || grants === GRANTS) throw error;
    }
  }
}

/**
 * @param {Blob} body
 * @param {Grant} grant
 * @param {Options} options
 * @param {Report} report
 */
function send(body, grant, { signal }, report) {
  const expiresAt = performance.now() + grant.expiresIn * 1000;
  return retrying(signal, async () => {
    if (performance.now() > expiresAt) throw expired();
    report({ phase: "uploading", loaded: 0, key: grant.key });
    await put(body, grant, signal, (loaded) => report({ loaded }));
  });
}

/**
 * @param {Grant} grant
 * @param {Options} options
 */
async function isStored({ key }, options) {
  try {
    const { body } = await askForStatus(key, options);
    return body.status !== "awaiting_upload";
  } catch (error) {
    if (error instanceof UploadError && error.status === 404) return false;
    throw error;
  }
}

/** The keys whose end this page waits for.
 * @type {Set<string>} */
const awaited = new Set();

/**
 * Waits for what becomes of a stored upload, and keeps it in mind meanwhile.
 *
 * @param {PendingUpload} pending
 * @param {Options} options
 * @param {Report} report
 * @param {() => void} [onEnd] hears that the API has said its last word
 */
async function settled(pending, options, report, onEnd) {
  const { key, size } = pending;
  const kept = memory(options);
  kept.add(pending);
  awaited.add(key);
  const end = () => {
    kept.remove(key);
    onEnd?.();
  };
  report({ phase: "processing", loaded: size, total: size, key });
  try {
    const manifest = await waitForManifest(pending, options);
    end();
    return manifest;
  } catch (error) {
    // Only the API knows what became of it. Without its word, it can still be heard later, on the next page too.
    if (!(error instanceof UploadError)) throw error;
    if ([200, 404].includes(error.status)) end();
    else error.pending = pending;
    throw error;
  } finally {
    awaited.delete(key);
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
    signal?.throwIfAborted();
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
 * @param {Options} options
 * @returns {Limits}
 */
function limitsOf({ api, limits }) {
  return { ...learned.get(baseOf(api)), ...limits };
}

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
    const names = contentTypes.map((known) => known.replace(/^image\//, "").toUpperCase().replace("WEBP", "WebP"));
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
    throw unreadable(cause);
  });
  return btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))));
}

/** @param {unknown} cause */
function unreadable(cause) {
  return new UploadError("unreadable", "The file cannot be read. Was it moved, changed or deleted?", { cause });
}

/** The file, or a JPEG of it if it is a HEIC, which Safari can decode.
 *
 * @param {File | Blob} file
 * @param {Options} options
 */
async function asAccepted(file, { limits }) {
  if (!isHeic(file) || limits?.contentTypes?.includes(file.type)) return file;
  try {
    const jpeg = await toJpeg(file);
    const { name = "" } = /** @type {File} */ (file);
    return new File([jpeg], name.replace(/(\.hei[cf])?$/i, ".jpg"), { type: jpeg.type });
  } catch (cause) {
    const message = "This browser cannot read HEIC photos. Save the photo as JPEG, or upload it with Safari.";
    throw new UploadError("unsupported_type", message, { field: "contentType", cause });
  }
}

/** @param {File | Blob} file */
function isHeic(file) {
  const { name = "", type } = /** @type {File} */ (file);
  return /^image\/hei[cf]/.test(type) || (!type && /\.hei[cf]$/i.test(name));
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
  const { body } = await retrying(options.signal, () => call("/upload-url", init, options));
  learned.set(baseOf(options.api), { maxBytes: body.maxBytes });
  return body;
}

/** In turn, and out of it between two tries: one that the server does not answer holds up no other.
 *
 * @param {string} key
 * @param {Options} options
 */
function askForStatus(key, options) {
  // Not the grant's `statusUrl`: the token is for this API alone, whatever a stored key or a proxy makes of an address.
  const path = `/uploads/${key.split("/").map(encodeURIComponent).join("/")}`;
  const ask = () => inTurn(asking, ASKED_AT_ONCE, options.signal, () => call(path, {}, options));
  return retrying(options.signal, ask);
}

/** @param {string} api */
function baseOf(api) {
  return api.replace(/\/+$/, "");
}

/**
 * One request with the user's token, and its JSON; every other end is an `UploadError`.
 *
 * @param {string} path
 * @param {RequestInit} init
 * @param {Options} options
 * @param {boolean} [refresh] whether the last token was refused
 * @returns {Promise<{body: any, retryAfterMs: number | undefined}>}
 */
async function call(path, init, options, refresh = false) {
  const { api, signal, token } = options;
  const bearer = typeof token === "function" ? await tokenFrom(token, refresh, signal) : token;
  const headers = { ...init.headers, ...(bearer && { Authorization: `Bearer ${bearer}` }) };
  const { signal: within, end } = answeredWithin(ANSWER_WITHIN_MS, signal);
  try {
    // no-cache: an answer that was not asked for anew would hide that the upload is ready.
    const response = await fetch(`${baseOf(api)}${path}`, { ...init, headers, signal: within, cache: "no-cache" });
    if (!response.ok) throw await problemOf(response);
    const body = await response.json();
    if (!body || typeof body !== "object") throw new SyntaxError("The answer is no JSON object.");
    return { body, retryAfterMs: retryAfterMs(response) };
  } catch (cause) {
    signal?.throwIfAborted();
    if (!(cause instanceof UploadError)) throw new UploadError("network", "The server cannot be reached.", { cause });
    if (cause.status !== 401 || typeof token !== "function" || refresh) throw cause;
  } finally {
    end();
  }
  return call(path, init, options, true);
}

/**
 * @param {Exclude<Token, string>} token
 * @param {boolean} refresh
 * @param {AbortSignal | undefined} signal
 */
async function tokenFrom(token, refresh, signal) {
  try {
    return await abortable(Promise.resolve(token({ refresh })), signal);
  } catch (cause) {
    signal?.throwIfAborted();
    const message = cause instanceof Error ? cause.message : String(cause);
    // `fetch` fails with a TypeError; all else is the function's word on who is signed in.
    if (cause instanceof TypeError || isOffline()) throw new UploadError("network", message, { cause });
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
/** S3's ways to say "once more" by a status that otherwise is final. */
const ONCE_MORE = ["RequestTimeout", "IncompleteBody", "BadDigest", "ConditionalRequestConflict", "OperationAborted"];

function expired() {
  return new UploadError(EXPIRED, "The address to upload to has expired.", { mayPass: false });
}

/**
 * One try. By XMLHttpRequest, since `fetch` tells nothing of its progress.
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
    const watch = (/** @type {number} */ loaded) => {
      clearTimeout(stalled);
      const held = loaded < body.size ? 0 : body.size / SLOWEST_BYTES_PER_MS;
      stalled = setTimeout(lost, Math.max(STALLED_AFTER_MS, held));
    };
    request.upload.onprogress = ({ loaded }) => {
      watch(loaded);
      onLoaded(loaded);
    };
    request.onload = () => (isTaken(request.status) ? resolve() : reject(refusalOf(request)));
    // Of a file that cannot be read any more a browser says no more than of a network that broke.
    request.onerror = () => void body.slice(0, 1).arrayBuffer().then(lost, (cause) => reject(unreadable(cause)));
    request.onabort = lost;
    request.open("PUT", uploadUrl);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.send(body);
    watch(0);
    return () => {
      clearTimeout(stalled);
      request.onabort = null;
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
  const sentence = `Storage refused the file (${`${status} ${code}`.trim()}). ${message}`.trim();
  return new UploadError("storage_refused", sentence, { status, mayPass: ONCE_MORE.includes(code) || undefined });
}

// What was uploaded and is not settled yet

/**
 * The uploads under way to this API that outlive the page. A browser that keeps nothing only costs the reload.
 *
 * @param {{api: string, storage?: Storage | null}} options
 */
function memory({ api, storage }) {
  const name = `${STORED_AS} ${baseOf(api)}`;
  const store = () => (storage === undefined ? globalThis.sessionStorage : storage);
  /** @returns {PendingUpload[]} */
  const read = () => {
    try {
      const list = JSON.parse(store()?.getItem(name) ?? "[]");
      return list.filter((/** @type {any} */ one) => typeof one?.key === "string");
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
 * Tries again what may pass, after longer and longer pauses. Without a network it waits for one, however long that takes.
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
      if (!(error instanceof UploadError) || !error.mayPass) throw error;
      if (error.code === "network" && isOffline()) tries = 0;
      if (tries === TRIES) throw error;
      // Half of it by chance, so that clients which a fault has brought into step do not stay so.
      const longest = tries === 0 ? LONGEST_PAUSE_MS : FIRST_PAUSE_MS * 2 ** tries;
      await pause(error.retryAfterMs ?? (longest * (1 + Math.random())) / 2, signal);
    }
  }
}

/** As the browser believes, which may err: a server on the same machine answers all the same. */
function isOffline() {
  return globalThis.navigator?.onLine === false;
}

/**
 * Ends early when a network comes back.
 *
 * @param {number} ms
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<void>}
 */
function pause(ms, signal) {
  return untilAborted(signal, (resolve) => {
    const go = () => resolve();
    const timer = setTimeout(go, Math.min(ms, LONGEST_PAUSE_MS));
    globalThis.addEventListener?.("online", go);
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

/**
 * @template T
 * @param {Promise<T>} promise of something that knows no signal
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<T>}
 */
function abortable(promise, signal) {
  promise.catch(() => {}); // told below, if anybody still listens
  return untilAborted(signal, (resolve, reject) => {
    promise.then(resolve, reject);
    return () => {};
  });
}

/** A signal that fires with another, or after a time, unless it is ended. `AbortSignal.any` is too new to rely on.
 *
 * @param {number} ms
 * @param {AbortSignal | undefined} signal
 */
function answeredWithin(ms, signal) {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = setTimeout(abort, ms);
  signal?.addEventListener("abort", abort);
  const end = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  };
  return { signal: controller.signal, end };
}
