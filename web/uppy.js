// Owns how Uppy uploads to Darkroom: options for its @uppy/aws-s3 plugin, of version 5 and of version 6. Uppy sends the
// bytes and keeps the state; this module asks for URLs before and waits for manifests after. It never sends a file itself,
// and needs no package of Uppy's.

import { UploadError, sign, waitForManifest } from "./upload.js";

/**
 * @typedef {import("./upload.js").Grant} Grant
 * @typedef {import("./upload.js").Manifest} Manifest
 *
 * @typedef {object} UppyFile what is read of a file of Uppy's
 * @property {string} id
 * @property {string} name
 * @property {string} type
 * @property {unknown} data
 * @property {{uploadComplete?: boolean}} progress
 * @property {string | null} [error]
 * @property {{status: number, body?: Record<string, unknown>}} [response]
 *
 * @typedef {{
 *   opts: {restrictions: {maxFileSize: number | null, allowedFileTypes: string[] | null}},
 *   setOptions(options: any): void,
 *   setState(state: any): void,
 *   getFile(id: string): UppyFile,
 *   setFileState(id: string, state: any): void,
 *   on(event: any, listener: (...args: any[]) => void): unknown,
 *   off(event: any, listener: (...args: any[]) => void): unknown,
 *   emit(event: any, ...args: any[]): unknown,
 *   addPostProcessor(job: (ids: string[]) => Promise<void>): void,
 *   removePostProcessor(job: (ids: string[]) => Promise<void>): unknown,
 * }} Uppy what is used of Uppy
 *
 * @typedef {object} AdapterOptions
 * @property {"PUT" | "POST"} [method] `POST`, the default, is a form that Uppy may send again when an answer got lost.
 *   `PUT` writes once: sent again it is refused, which counts as uploaded, though Uppy tells of an error in between.
 *
 * @typedef {import("./upload.js").Options & AdapterOptions} DarkroomOptions
 *
 * @typedef {{method: "POST", url: string, fields: Record<string, string>, expires: number}
 *   | {method: "PUT", url: string, headers: Record<string, string>, expires: number}} UploadParameters
 *
 * @typedef {object} AwsS3Options
 * @property {false} shouldUseMultipart
 * @property {number} limit files sent at once
 * @property {(file: UppyFile) => Promise<UploadParameters>} getUploadParameters for version 5
 * @property {(file: UppyFile) => string} generateObjectKey for version 6
 * @property {(request: {key: string}) => Promise<
 *   {url: string, key: string, headers?: Record<string, string>, fields?: Record<string, string>}>} signRequest for version 6
 */

const SENT_AT_ONCE = 4;

/**
 * Options for @uppy/aws-s3: `uppy.use(AwsS3, darkroom(uppy, { api, token }))`.
 *
 * A file that is ready has `file.response.body.manifest`, from the event `postprocess-complete` on. One that came to nothing
 * has `file.error`, a sentence, and `file.response.body.code`; `upload-error` hands over the `UploadError` itself.
 * For local files: Companion uploads by itself, to a bucket of its own.
 *
 * @param {Uppy} uppy
 * @param {DarkroomOptions} options
 * @returns {AwsS3Options}
 */
export function darkroom(uppy, { method = "POST", ...options }) {
  const patch = patcher(uppy);
  const ending = endings();
  const grants = keptGrants();
  const outcomes = waits(uppy, patch, (id, grant) => waitForManifest(grant, { ...options, signal: ending.begin(id) }));

  /** @param {UppyFile} file */
  const grantFor = async (file) => {
    const kept = grants.of(file);
    if (kept) return kept;
    const grant = await sign(asFile(file), { ...options, method, signal: ending.begin(file.id) });
    grants.keep(file, grant);
    // In Uppy's state, since that may outlive the page.
    patch(file.id, { darkroom: { key: grant.key } });
    return grant;
  };

  /** @param {{key: string}} request */
  const signRequest = async ({ key: id }) => {
    const { uploadUrl: url, key, headers, fields } = await grantFor(uppy.getFile(id));
    return fields ? { url, key, fields } : { url, key, headers };
  };

  /** @param {UppyFile} file */
  const getUploadParameters = async (file) => {
    const grant = await grantFor(file);
    const { uploadUrl: url, headers = {}, fields = {}, expiresIn: expires } = grant;
    return grant.method === "POST"
      ? { method: /** @type {const} */ ("POST"), url, fields, expires }
      : { method: /** @type {const} */ ("PUT"), url, headers, expires };
  };

  restrict(uppy, options.limits);
  attach(uppy, signRequest, outcomes.all, {
    // Without waiting for the last of many files to be sent.
    "upload-success": (file) => {
      grants.forget(file.id);
      void outcomes.of(file.id);
    },
    "upload-error": (file, error) => {
      if (!file) return;
      const kept = grants.of(file);
      if (kept && statusOf(error) === 412) return countAsUploaded(uppy, patch, file, kept);
      // Refused by S3, the URL is of no further use. When the network broke it is: perhaps only the answer got lost.
      if (statusOf(error) >= 400 && statusOf(error) < 500) grants.forget(file.id);
      if (error instanceof UploadError) patch(file.id, { response: { status: error.status, body: { code: error.code } } });
    },
    "file-removed": (file) => {
      grants.forget(file.id);
      ending.end(file.id);
    },
  });
  return {
    shouldUseMultipart: false,
    limit: options.concurrency ?? SENT_AT_ONCE,
    getUploadParameters,
    // Nothing but this key tells version 6's signRequest which file is meant. The object's key is the server's.
    generateObjectKey: (file) => file.id,
    signRequest,
  };
}

/** @typedef {(id: string, state: object) => void} Patch */

/** Changes a file's state, unless it was removed meanwhile.
 *
 * @param {Uppy} uppy
 * @returns {Patch}
 */
function patcher(uppy) {
  return (id, state) => {
    if (uppy.getFile(id)) uppy.setFileState(id, state);
  };
}

/** Under Uppy's name and type for it, which may know more than the file itself.
 *
 * @param {UppyFile} file
 */
function asFile({ data, name, type }) {
  const blob = /** @type {Blob} */ (data);
  return blob instanceof File && blob.type === type ? blob : new File([blob], name, { type });
}

/** Of each file the one signal that ends what is under way for it; what begins anew ends what was before. */
function endings() {
  /** @type {Map<string, AbortController>} */
  const controllers = new Map();
  /** @param {string} id */
  const end = (id) => {
    controllers.get(id)?.abort();
    controllers.delete(id);
  };
  /** @param {string} id */
  const begin = (id) => {
    end(id);
    const controller = new AbortController();
    controllers.set(id, controller);
    return controller.signal;
  };
  return { begin, end };
}

/** The URLs of files that are not known to be stored: sent again to the same URL, a file is never there twice. */
function keptGrants() {
  /** @type {Map<string, {data: unknown, grant: Grant, goodUntil: number}>} */
  const kept = new Map();
  return {
    /** @param {UppyFile} file */
    of({ id, data }) {
      const one = kept.get(id);
      return one && one.data === data && performance.now() < one.goodUntil ? one.grant : undefined;
    },
    /**
     * @param {UppyFile} file
     * @param {Grant} grant
     */
    keep: ({ id, data }, grant) =>
      void kept.set(id, { data, grant, goodUntil: performance.now() + grant.expiresIn * 1000 }),
    /** @param {string} id */
    forget: (id) => void kept.delete(id),
  };
}

/**
 * @param {Uppy} uppy
 * @param {Patch} patch
 * @param {(id: string, grant: {key: string}) => Promise<Manifest>} wait
 */
function waits(uppy, patch, wait) {
  /** @type {Map<string, Promise<void>>} */
  const running = new Map();

  /** @param {string} id */
  const settle = async (id) => {
    await undefined; // every listener has heard that it is uploaded
    const file = /** @type {UppyFile & {darkroom?: {key: string}}} */ (uppy.getFile(id));
    const grant = file?.darkroom;
    if (!grant || !file.progress.uploadComplete || file.error || file.response?.body?.manifest) return;
    uppy.emit("postprocess-progress", file, { mode: "indeterminate", message: "Processing" });
    try {
      const manifest = await wait(id, grant);
      patch(id, { response: { ...file.response, body: { ...file.response?.body, key: grant.key, manifest } } });
    } catch (error) {
      const now = uppy.getFile(id);
      if (!now || !(error instanceof UploadError)) return; // the file was removed
      // After the API's last word a retry sends the file again; without it, a retry goes on waiting.
      if ([200, 404].includes(error.status)) patch(id, { progress: { ...now.progress, uploadComplete: false } });
      uppy.emit("upload-error", uppy.getFile(id), error);
    }
    uppy.emit("postprocess-complete", uppy.getFile(id));
  };

  /** @param {string} id */
  const of = (id) => {
    const waiting = running.get(id) ?? settle(id).finally(() => running.delete(id));
    running.set(id, waiting);
    return waiting;
  };
  return { of, all: async (/** @type {string[]} */ ids) => void (await Promise.all(ids.map(of))) };
}

/** The answer to an upload got lost, and the same was sent again: the URL writes once and is ours alone.
 *
 * @param {Uppy} uppy
 * @param {Patch} patch
 * @param {UppyFile} file
 * @param {Grant} grant
 */
function countAsUploaded(uppy, patch, file, { uploadUrl, key }) {
  const location = uploadUrl.replace(/\?.*/, "");
  patch(file.id, { error: null });
  uppy.setState({ error: null });
  uppy.emit("upload-success", file, { status: 200, body: { location, key }, uploadURL: location });
}

/** HTTP's status: version 6 says it itself, version 5 has the request.
 *
 * @param {{status?: number, source?: {status?: number}}} error
 */
function statusOf(error) {
  return error.status ?? error.source?.status ?? 0;
}

/** The server's limits, where they are known, as those of the file picker; the page's own take precedence.
 *
 * @param {Uppy} uppy
 * @param {import("./upload.js").Limits} [limits]
 */
function restrict(uppy, { maxBytes, contentTypes } = {}) {
  const { maxFileSize, allowedFileTypes } = uppy.opts.restrictions;
  uppy.setOptions({
    restrictions: {
      maxFileSize: maxFileSize ?? maxBytes ?? null,
      allowedFileTypes: allowedFileTypes ?? contentTypes ?? null,
    },
  });
}

/** Listens until the plugin is removed that has these options.
 *
 * @param {Uppy} uppy
 * @param {AwsS3Options["signRequest"]} signRequest
 * @param {(ids: string[]) => Promise<void>} postProcessor
 * @param {Record<string, (file: UppyFile, error: any) => void>} listeners
 */
function attach(uppy, signRequest, postProcessor, listeners) {
  uppy.addPostProcessor(postProcessor);
  for (const [event, listener] of Object.entries(listeners)) uppy.on(event, listener);
  /** @param {{opts?: {signRequest?: unknown}}} plugin */
  const detach = (plugin) => {
    if (plugin.opts?.signRequest !== signRequest) return;
    uppy.removePostProcessor(postProcessor);
    for (const [event, listener] of Object.entries(listeners)) uppy.off(event, listener);
    uppy.off("plugin-remove", detach);
  };
  uppy.on("plugin-remove", detach);
}
