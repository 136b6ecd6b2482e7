// @vitest-environment jsdom
// Holds react.js to its promises: the hook against a real HTTP server that speaks the API's contract, the component in
// a document and on a server.

import { createServer } from "node:http";
import { StrictMode, createElement, createRef } from "react";
import { flushSync } from "react-dom";
import { createRoot, hydrateRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Picture, useImageUpload } from "../react.js";

const MANIFEST = {
  status: "ready",
  source: { width: 1000, height: 500 },
  renditions: ["webp", "jpeg"].flatMap((format) =>
    [320, 640].map((width) => ({ name: `w${width}`, format, key: `processed/photo/w${width}.${format}`, width, height: width / 2 })),
  ),
  placeholder: { thumbhash: "1QcSHQRnh493V4dIh4eXh1h4kJUI", color: "#7a8b64" },
};

let server;
let root;

beforeEach(async () => {
  vi.spyOn(console, "error");
  // Node's digest does not take jsdom's buffers, so nothing is hashed, as on a page without TLS.
  vi.stubGlobal("crypto", undefined);
  server = await startServer();
});

afterEach(async () => {
  unmount();
  await server.close();
  // React tells here of updates after unmounting, mismatches and props that it does not know.
  expect(console.error).not.toHaveBeenCalled();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  sessionStorage.clear();
});

/**
 * The API and S3 in one. `requests` holds `METHOD path` of all but preflights; `answer` may be replaced by a test and
 * gives `[status, body]`, or undefined to leave the request open.
 */
async function startServer() {
  const self = { requests: [], tokens: [], closedEarly: 0, answer: usualAnswer };
  let uploads = 0;
  const listener = createServer((request, response) => {
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Access-Control-Allow-Headers", "*, Authorization");
    response.setHeader("Access-Control-Allow-Methods", "*");
    if (request.method === "OPTIONS") return response.end();
    self.requests.push(`${request.method} ${request.url}`);
    self.tokens.push(request.headers.authorization);
    response.on("close", () => (self.closedEarly += response.writableFinished ? 0 : 1));
    request.resume().on("end", () => {
      const [status, body] = self.answer(request) ?? [];
      if (status) response.writeHead(status, { "Retry-After": "0" }).end(JSON.stringify(body));
    });
  });
  await new Promise((started) => listener.listen(0, "127.0.0.1", started));
  self.api = `http://127.0.0.1:${listener.address().port}`;
  self.close = () => {
    listener.closeAllConnections();
    return new Promise((closed) => listener.close(closed));
  };
  self.grant = () => {
    const key = `raw/articles/a1/${(uploads += 1)}.jpg`;
    const statusUrl = `${self.api}/uploads/${key}`;
    return { method: "PUT", uploadUrl: `${self.api}/s3/${key}`, headers: {}, key, statusUrl, expiresIn: 900, maxBytes: 1000 };
  };
  return self;
}

function usualAnswer({ method }) {
  if (method === "POST") return [200, server.grant()];
  if (method === "PUT") return [200, {}];
  return [200, { status: "ready", manifest: MANIFEST }];
}

function photo(name = "photo.jpg") {
  return new File([new Uint8Array(100)], name, { type: "image/jpeg" });
}

/** Renders a component with the hook; `hook.current` is what it gave last, `hook.phases` all phases that were shown. */
function renderHook(options = {}, { strict = false } = {}) {
  const hook = { current: undefined, phases: [] };
  function Host(props) {
    hook.current = useImageUpload({ api: server.api, token: "t", ...props });
    hook.phases.push(hook.current.phase);
    return null;
  }
  root = createRoot(document.createElement("div"));
  hook.render = (next) => flushSync(() => root.render(createElement(strict ? StrictMode : "div", {}, createElement(Host, next))));
  hook.render(options);
  return hook;
}

function unmount() {
  if (root) flushSync(() => root.unmount());
  root = undefined;
}

describe("useImageUpload", () => {
  test("begins idle, and renders on a server", () => {
    const Host = () => JSON.stringify(useImageUpload({ api: "https://api.example" }));
    expect(JSON.parse(renderToString(createElement(Host)).replaceAll("&quot;", '"'))).toEqual({ phase: "idle", progress: 0, result: null, error: null });
  });

  test.each([[false], [true]])("shows every phase up to the manifest, once (strict mode: %s)", async (strict) => {
    const hook = renderHook({}, { strict });
    await expect(hook.current.upload(photo())).resolves.toEqual(MANIFEST);
    await vi.waitFor(() => expect(hook.current).toMatchObject({ phase: "ready", progress: 1, result: MANIFEST, error: null }));
    const order = ["idle", "preparing", "signing", "uploading", "processing", "ready"];
    expect(hook.phases.map((phase) => order.indexOf(phase))).toEqual(hook.phases.map((phase) => order.indexOf(phase)).sort());
    expect(server.requests).toEqual(["POST /upload-url", "PUT /s3/raw/articles/a1/1.jpg", "GET /uploads/raw/articles/a1/1.jpg"]);
  });

  test("tells of a refusal by the server's code, and rejects no promise", async () => {
    server.answer = () => [415, { code: "unsupported_type", detail: "image/tiff is not accepted." }];
    const hook = renderHook();
    await expect(hook.current.upload(photo())).resolves.toBeNull();
    await vi.waitFor(() => expect(hook.current.phase).toBe("rejected"));
    expect(hook.current.error).toMatchObject({ code: "unsupported_type", message: "image/tiff is not accepted.", status: 415 });
    expect(hook.current.result).toBeNull();
  });

  test("tells of what the worker refused", async () => {
    const rejection = { code: "corrupt", message: "The file is damaged." };
    server.answer = (request) => (request.method === "GET" ? [200, { status: "rejected", rejection }] : usualAnswer(request));
    const hook = renderHook();
    await expect(hook.current.upload(photo())).resolves.toBeNull();
    await vi.waitFor(() => expect(hook.current).toMatchObject({ phase: "rejected", error: rejection }));
  });

  test("a second upload ends the first and is all that is shown", async () => {
    server.answer = (request) => (request.url.startsWith("/s3/raw/articles/a1/1") ? undefined : usualAnswer(request));
    const hook = renderHook();
    const first = hook.current.upload(photo());
    await vi.waitFor(() => expect(server.requests.at(-1)).toMatch(/^PUT/));
    const second = hook.current.upload(photo());
    await expect(first).resolves.toBeNull();
    await expect(second).resolves.toEqual(MANIFEST);
    await vi.waitFor(() => expect(hook.current.phase).toBe("ready"));
    expect(hook.phases).not.toContain("failed");
    expect(hook.phases.filter((phase) => phase === "idle")).toHaveLength(1);
    await vi.waitFor(() => expect(server.closedEarly).toBe(1));
  });

  test("abort ends the request and goes back to idle", async () => {
    server.answer = (request) => (request.method === "PUT" ? undefined : usualAnswer(request));
    const hook = renderHook();
    const uploading = hook.current.upload(photo());
    await vi.waitFor(() => expect(server.requests.at(-1)).toMatch(/^PUT/));
    flushSync(() => hook.current.abort());
    expect(hook.current).toMatchObject({ phase: "idle", progress: 0, result: null, error: null });
    await expect(uploading).resolves.toBeNull();
    await vi.waitFor(() => expect(server.closedEarly).toBe(1));
    expect(hook.current.phase).toBe("idle");
  });

  test("abort puts away a result as well", async () => {
    const hook = renderHook();
    await hook.current.upload(photo());
    flushSync(() => hook.current.abort());
    expect(hook.current).toMatchObject({ phase: "idle", result: null });
  });

  test("a signal of the caller's goes back to idle too", async () => {
    server.answer = (request) => (request.method === "PUT" ? undefined : usualAnswer(request));
    const controller = new AbortController();
    const hook = renderHook({ signal: controller.signal });
    const uploading = hook.current.upload(photo());
    await vi.waitFor(() => expect(server.requests.at(-1)).toMatch(/^PUT/));
    controller.abort();
    await expect(uploading).resolves.toBeNull();
    await vi.waitFor(() => expect(hook.current.phase).toBe("idle"));
  });

  test("unmounting ends what is running", async () => {
    server.answer = (request) => (request.method === "PUT" ? undefined : usualAnswer(request));
    const hook = renderHook({}, { strict: true });
    const uploading = hook.current.upload(photo());
    await vi.waitFor(() => expect(server.requests.at(-1)).toMatch(/^PUT/));
    unmount();
    await expect(uploading).resolves.toBeNull();
    await vi.waitFor(() => expect(server.closedEarly).toBe(1));
  });

  test("nothing is sent for who is gone", async () => {
    const hook = renderHook();
    unmount();
    await expect(hook.current.upload(photo())).resolves.toBeNull();
    await expect(hook.current.retry()).resolves.toBeNull();
    expect(server.requests).toEqual([]);
  });

  test("retry sends the last file once more", async () => {
    const failure = { code: "timeout", message: "Processing took too long." };
    server.answer = (request) => (request.method === "GET" ? [200, { status: "failed", manifest: { failure } }] : usualAnswer(request));
    const hook = renderHook();
    await hook.current.upload(photo());
    await vi.waitFor(() => expect(hook.current).toMatchObject({ phase: "failed", error: failure }));
    server.answer = usualAnswer;
    await expect(hook.current.retry()).resolves.toEqual(MANIFEST);
    await vi.waitFor(() => expect(hook.current).toMatchObject({ phase: "ready", error: null }));
    expect(server.requests.filter((request) => request.startsWith("PUT"))).toHaveLength(2);
  });

  test("retry of what is stored already only waits on", async () => {
    server.answer = (request) => (request.method === "GET" ? [403, {}] : usualAnswer(request));
    const hook = renderHook();
    await hook.current.upload(photo());
    await vi.waitFor(() => expect(hook.current.phase).toBe("failed"));
    server.answer = usualAnswer;
    await expect(hook.current.retry()).resolves.toEqual(MANIFEST);
    expect(server.requests.filter((request) => request.startsWith("PUT"))).toHaveLength(1);
  });

  test("retry without a file does nothing", async () => {
    const hook = renderHook();
    await expect(hook.current.retry()).resolves.toBeNull();
    expect(hook.current.phase).toBe("idle");
  });

  test("its functions stay the same ones", async () => {
    const hook = renderHook();
    const { upload, retry, abort } = hook.current;
    await upload(photo());
    hook.render({ token: "another" });
    expect(hook.current.upload).toBe(upload);
    expect(hook.current.retry).toBe(retry);
    expect(hook.current.abort).toBe(abort);
  });

  test("an upload that is running asks the newest token function, and tells the newest onProgress", async () => {
    const heard = [];
    const hook = renderHook({ token: () => "old", onProgress: ({ phase }) => heard.push(`old ${phase}`) });
    server.answer = (request) => {
      if (request.method === "PUT") hook.render({ token: async () => "new", onProgress: ({ phase }) => heard.push(`new ${phase}`) });
      return usualAnswer(request);
    };
    await hook.current.upload(photo());
    expect(server.tokens).toEqual(["Bearer old", undefined, "Bearer new"]);
    expect([heard.at(0), heard.at(-1)]).toEqual(["old preparing", "new ready"]);
  });

  test("a token is asked again after a 401", async () => {
    const token = vi.fn(({ refresh }) => (refresh ? "fresh" : "stale"));
    server.answer = (request) => (request.headers.authorization === "Bearer stale" ? [401, { code: "unauthorized" }] : usualAnswer(request));
    const hook = renderHook({ token });
    await expect(hook.current.upload(photo())).resolves.toEqual(MANIFEST);
  });
});

describe("Picture", () => {
  const props = { manifest: MANIFEST, cdn: "https://cdn.example/", alt: "A red bicycle" };
  const asOnServer = (more) => renderToString(createElement(Picture, { ...props, ...more }));

  function render(more, onto = createRoot(document.body.appendChild(document.createElement("div")))) {
    root = onto;
    flushSync(() => root.render(createElement(StrictMode, {}, createElement(Picture, { ...props, ...more }))));
    return document.body.querySelector("picture");
  }

  afterEach(() => document.body.replaceChildren());

  test("is a whole picture on a server: sources, size, placeholder", () => {
    document.body.innerHTML = asOnServer({ sizes: "50vw" });
    const [source, img] = document.body.querySelector("picture").children;
    expect([source.type, source.sizes, source.srcset]).toEqual([
      "image/webp",
      "50vw",
      "https://cdn.example/processed/photo/w320.webp 320w, https://cdn.example/processed/photo/w640.webp 640w",
    ]);
    expect([img.alt, img.width, img.height, img.sizes, img.getAttribute("decoding")]).toEqual(["A red bicycle", 640, 320, "50vw", "async"]);
    expect(img.src).toBe("https://cdn.example/processed/photo/w640.jpeg");
    expect(img.style.backgroundImage).toContain("data:image/png");
  });

  test("shows the placeholder until the photo has loaded", async () => {
    const onLoad = vi.fn();
    const img = render({ onLoad, style: { borderRadius: "4px" } }).querySelector("img");
    expect([img.style.backgroundSize, img.style.borderRadius]).toEqual(["cover", "4px"]);
    flushSync(() => img.dispatchEvent(new Event("load")));
    await vi.waitFor(() => expect(img.getAttribute("style")).toBe("border-radius: 4px;"));
    expect(onLoad).toHaveBeenCalledOnce();
  });

  test("takes the placeholder away from what had loaded before hydration", async () => {
    // jsdom loads no images, so their state is told for it.
    vi.spyOn(HTMLImageElement.prototype, "complete", "get").mockReturnValue(true);
    vi.spyOn(HTMLImageElement.prototype, "naturalWidth", "get").mockReturnValue(640);
    document.body.innerHTML = `<div>${asOnServer()}</div>`;
    const img = document.body.querySelector("img");
    expect(img.style.backgroundImage).not.toBe("");
    root = hydrateRoot(document.body.firstChild, createElement(Picture, props));
    await vi.waitFor(() => expect(img.style.backgroundImage).toBe(""));
    expect(document.body.querySelector("img")).toBe(img);
  });

  test("shows the placeholder of the next photo, in an element of its own", () => {
    const before = render().querySelector("img");
    flushSync(() => before.dispatchEvent(new Event("load")));
    const renditions = MANIFEST.renditions.map((one) => ({ ...one, key: one.key.replace("photo", "other") }));
    const after = render({ manifest: { ...MANIFEST, renditions } }, root).querySelector("img");
    expect(after).not.toBe(before);
    expect(after.style.backgroundImage).toContain("data:image/png");
  });

  test("gives other props to its img", () => {
    const ref = createRef();
    const picture = render({ ref, className: "hero", loading: "lazy", fetchPriority: "low", id: "photo", "data-x": "1", "aria-describedby": "caption" });
    const img = picture.querySelector("img");
    expect(ref.current).toBe(img);
    expect(Object.fromEntries(["class", "loading", "fetchpriority", "id", "data-x", "aria-describedby"].map((name) => [name, img.getAttribute(name)]))).toEqual({
      class: "hero",
      loading: "lazy",
      fetchpriority: "low",
      id: "photo",
      "data-x": "1",
      "aria-describedby": "caption",
    });
    expect([...picture.attributes]).toEqual([]);
  });

  test("shows no placeholder if none is wanted, or the mean colour if there is no hash", () => {
    expect(asOnServer({ placeholder: false })).not.toContain("style");
    expect(asOnServer({ manifest: { ...MANIFEST, placeholder: { color: "#7a8b64" } } })).toContain('style="background-color:#7a8b64"');
  });

  test("shows one rendition alone if asked by its name", () => {
    expect(asOnServer({ rendition: "w320" })).not.toContain("w640");
  });

  test("is without an address, not broken, where nothing was made", () => {
    document.body.innerHTML = asOnServer({ manifest: { ...MANIFEST, renditions: [] } });
    const img = document.body.querySelector("img");
    expect([img.hasAttribute("src"), img.hasAttribute("srcset"), img.width, img.alt]).toEqual([false, false, 1000, "A red bicycle"]);
  });

  test("says so if the manifest is not ready", () => {
    expect(() => asOnServer({ manifest: { status: "rejected" } })).toThrow("the status of this one is rejected");
  });
});
