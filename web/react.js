"use client";
// Owns the React side of uploads and pictures: a hook around upload.js and a component around picture.js. It must never
// hold rules of its own about either, nor need a build step: no JSX.

import { createElement, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { pictureData, placeholderStyle } from "./picture.js";
import { resume, upload as send } from "./upload.js";

/**
 * @import { ComponentPropsWithRef, ReactElement } from "react"
 * @import { PictureManifest } from "./picture.js"
 * @import { Manifest, Options, PendingUpload, Phase, UploadError, UploadState } from "./upload.js"
 *
 * @typedef {object} ImageUpload
 * @property {(file: File | Blob | null | undefined) => Promise<Manifest | null>} upload ends one that is running; null where there is no
 *   manifest, and then `error` says why. It never rejects.
 * @property {Phase | "idle"} phase
 * @property {number} progress of the sending, 0 to 1
 * @property {Manifest | null} result
 * @property {UploadError | null} error
 * @property {() => Promise<Manifest | null>} retry the last file once more, or its waiting if it is stored already
 * @property {() => void} abort back to `idle`
 *
 * @typedef {object} PictureOptions
 * @property {PictureManifest} manifest
 * @property {string} cdn
 * @property {string} alt
 * @property {string} [sizes]
 * @property {string} [rendition]
 * @property {boolean} [placeholder]
 *
 * @typedef {PictureOptions & Omit<ComponentPropsWithRef<"img">, "src" | "srcSet" | "width" | "height" | keyof PictureOptions>} PictureProps
 */

/** @type {{phase: "idle", loaded: number, total: number, manifest?: undefined, error?: undefined}} */
const IDLE = { phase: "idle", loaded: 0, total: 0 };

/**
 * One upload at a time, and what became of it. Its functions never change; unmounting ends what is running.
 * @param {Options} options upload.js's; the newest `token` and `onProgress` count, also for an upload that is running
 * @returns {ImageUpload}
 */
export function useImageUpload(options) {
  const [state, setState] = useState(/** @type {UploadState | typeof IDLE} */ (IDLE));
  const latest = useLatest(options);
  const running = useRef(/** @type {AbortController | null} */ (null));
  const last = useRef(/** @type {{file: File | Blob, pending?: PendingUpload} | null} */ (null));
  const isMounted = useIsMounted(() => running.current?.abort());

  const begin = useCallback(async (/** @type {(options: Options) => Promise<Manifest>} */ job) => {
    if (!isMounted.current) return null;
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    const { signal } = controller;
    const theirs = latest.current.signal;
    const follow = () => controller.abort(theirs?.reason);
    if (theirs?.aborted) follow();
    theirs?.addEventListener("abort", follow);
    // Nothing is told of an upload that was aborted, so what comes here is of the newest.
    const onProgress = (/** @type {UploadState} */ next) => {
      setState(next);
      if (last.current) last.current.pending = next.error?.pending;
      latest.current.onProgress?.(next);
    };
    try {
      return await job({ ...latest.current, token: (ask) => tokenOf(latest.current, ask), signal, onProgress });
    } catch {
      // What went wrong was told as a state; being aborted is none, and another upload may have taken over.
      if (signal.aborted && running.current === controller) setState(IDLE);
      return null;
    } finally {
      theirs?.removeEventListener("abort", follow);
    }
  }, []);

  const upload = useCallback(async (/** @type {File | Blob | null | undefined} */ file) => {
    // A file picker that was left without a choice.
    if (!file) return null;
    last.current = { file };
    return begin((options) => send(file, options));
  }, []);

  const retry = useCallback(async () => {
    if (!last.current) return null;
    const { file, pending } = last.current;
    return pending ? begin((options) => resume(pending, options)) : upload(file);
  }, []);

  const abort = useCallback(() => {
    running.current?.abort();
    setState(IDLE);
  }, []);

  return { upload, retry, abort, phase: state.phase, progress: progressOf(state), result: state.manifest ?? null, error: state.error ?? null };
}

/**
 * A responsive <picture> whose size is known before it loads, over a blurred preview until it has. Everything else
 * that is given goes to its <img>.
 * @param {PictureProps} props
 * @returns {ReactElement}
 */
export function Picture({ manifest, cdn, alt, sizes, rendition, placeholder = true, style, onLoad, ...others }) {
  const data = useMemo(() => pictureData(manifest, { cdn, sizes, rendition }), [manifest, cdn, sizes, rendition]);
  const background = useMemo(() => (placeholder ? placeholderStyle(data) : {}), [data, placeholder]);
  const [loadedSrc, setLoadedSrc] = useState(/** @type {string | null} */ (null));
  const picture = useRef(/** @type {HTMLPictureElement | null} */ (null));

  // A picture of the server may have loaded before there was anybody to hear of it.
  useEffect(() => {
    const img = picture.current?.querySelector("img");
    if (img?.complete && img.naturalWidth > 0) setLoadedSrc(data.src);
  }, [data.src]);

  const img = createElement("img", {
    decoding: "async",
    ...others,
    // Of another picture this is another element, so that it never shows the old photo in the new one's size.
    key: data.src,
    alt,
    width: data.width || undefined,
    height: data.height || undefined,
    style: loadedSrc === data.src ? style : { ...background, ...style },
    onLoad: (/** @type {React.SyntheticEvent<HTMLImageElement>} */ event) => {
      setLoadedSrc(data.src);
      onLoad?.(event);
    },
    sizes: data.sizes,
    srcSet: data.srcset || undefined,
    src: data.src || undefined,
  });
  const sources = data.sources.map(({ type, srcset }) => createElement("source", { key: type, type, sizes: data.sizes, srcSet: srcset }));
  return createElement("picture", { ref: picture }, ...sources, img);
}

/**
 * What a function that never changes can read of the newest render.
 * @template T
 * @param {T} value
 */
function useLatest(value) {
  const latest = useRef(value);
  useEffect(() => {
    latest.current = value;
  });
  return latest;
}

/** @param {() => void} onUnmount */
function useIsMounted(onUnmount) {
  const isMounted = useRef(true);
  useEffect(() => {
    // Strict mode unmounts and mounts once more.
    isMounted.current = true;
    return () => {
      isMounted.current = false;
      onUnmount();
    };
  }, []);
  return isMounted;
}

/**
 * @param {Options} options
 * @param {{refresh: boolean}} ask
 */
function tokenOf({ token = "" }, ask) {
  return typeof token === "function" ? token(ask) : token;
}

/** @param {{phase: Phase | "idle", loaded: number, total: number}} state */
function progressOf({ phase, loaded, total }) {
  if (phase === "ready") return 1;
  return total > 0 ? loaded / total : 0;
}
