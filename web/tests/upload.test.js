// @vitest-environment jsdom
// What upload.js promises, against a server that can be told to fail. In a browser, and against the real stack, it is tried
// by tests/browser.

import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { UploadError, pendingUploads, resume, sign, upload, waitForManifest } from "../upload.js";
import { startServer } from "./server.js";

// jsdom's buffers come from a realm of its own, which Node's crypto does not take.
const ofJsdom = Blob.prototype.arrayBuffer;
Blob.prototype.arrayBuffer = async function arrayBuffer() {
  return structuredClone(await ofJsdom.call(this));
};

let server;
const begin = async (answers) => (server = await startServer(answers));

beforeEach(() => sessionStorage.clear());
afterEach(() => server?.close());

const PROBLEM = { "Content-Type": "application/problem+json" };
const AT_ONCE = { "Retry-After": "0" };

function photo(bytes = "some bytes", name = "photo.jpg", type = "image/jpeg") {
  return new File([bytes], name, { type });
}

/** Uploads, and gives what was reported, and how it ended. */
async function run(file, options = {}) {
  const states = [];
  const onProgress = (state) => states.push(state);
  const ended = upload(file, { api: server.api, token: "t", onProgress, ...options });
  const [result, error] = await ended.then((manifest) => [manifest], (problem) => [undefined, problem]);
  return { states, phases: phasesOf(states), result, error };
}

function phasesOf(states) {
  return states.map(({ phase }) => phase).filter((phase, at, all) => phase !== all[at - 1]);
}

describe("an upload", () => {
  test("goes through every phase in order, and ends with the manifest", async () => {
    await begin();
    const { phases, result, states } = await run(photo());
    expect(phases).toEqual(["preparing", "signing", "uploading", "processing", "ready"]);
    expect(result.status).toBe("ready");
    const last = states.at(-1);
    expect(last).toMatchObject({ phase: "ready", loaded: 10, total: 10, key: result.source.key, manifest: result });
  });

  test("is signed with its type, length, name, article and SHA-256, and sent with exactly the headers of the grant", async () => {
    await begin();
    await run(photo("abc"), { articleId: "a7" });
    const checksumSha256 = createHash("sha256").update("abc").digest("base64");
    const wish = { contentType: "image/jpeg", contentLength: 3, fileName: "photo.jpg", articleId: "a7", checksumSha256 };
    expect(server.asked.sign[0].wish).toEqual(wish);
    expect(server.asked.sign[0].headers.authorization).toBe("Bearer t");
    const [{ headers, body }] = server.asked.put;
    expect(body.toString()).toBe("abc");
    expect(headers).toMatchObject({ "content-type": "image/jpeg", "if-none-match": "*" });
    expect(headers.authorization).toBeUndefined();
  });

  test("without a type leaves it to the server to guess one from the name", async () => {
    await begin();
    await run(photo("abc", "scan.png", ""));
    expect(server.asked.sign[0].wish).toMatchObject({ fileName: "scan.png" });
    expect(server.asked.sign[0].wish.contentType).toBeUndefined();
  });

  test("goes on when the page's own listener throws", async () => {
    await begin();
    const reported = vi.fn();
    vi.stubGlobal("reportError", reported);
    const onProgress = () => {
      throw new Error("the page is broken");
    };
    const { result } = await run(photo(), { onProgress });
    expect(result.status).toBe("ready");
    expect(reported).toHaveBeenCalled();
    vi.unstubAllGlobals();
  });

  test("shares the page with others: no more than `concurrency` are sent at once, and all get through", async () => {
    // The first three are answered when three have come: so three do run side by side.
    const together = async (asking, usual) => {
      await vi.waitFor(() => expect(server.asked.put.length).toBeGreaterThanOrEqual(3));
      return usual.put(asking);
    };
    await begin({ put: [together, together, together] });
    const runs = Array.from({ length: 12 }, (_, n) => run(photo(`bytes ${n}`), { concurrency: 3 }));
    const ends = await Promise.all(runs);
    expect(ends.map(({ result }) => result?.status)).toEqual(Array(12).fill("ready"));
    expect(server.stored.size).toBe(12);
    expect(server.mostPuts()).toBe(3);
  });
});

describe("before a byte is sent", () => {
  test("a file over the limit that the page knows is refused without a request", async () => {
    await begin();
    const { error, phases } = await run(photo("12345678901"), { limits: { maxBytes: 10 } });
    expect(error).toMatchObject({ code: "payload_too_large", phase: "rejected", limit: 10, status: 0 });
    expect(error.message).toBe("The file has 11 bytes; at most 10 are accepted.");
    expect(phases).toEqual(["preparing", "rejected"]);
    expect(server.asked.sign).toEqual([]);
  });

  test("a file of exactly the limit is sent", async () => {
    await begin();
    const { result } = await run(photo("1234567890"), { limits: { maxBytes: 10 } });
    expect(result.status).toBe("ready");
  });

  test("the limit that a server told with one file holds for the next", async () => {
    await begin();
    await run(photo());
    const { error } = await run(photo(new Uint8Array(1_000_001)));
    expect(error).toMatchObject({ code: "payload_too_large", limit: 1_000_000 });
    expect(server.asked.sign).toHaveLength(1);
  });

  test("a large file is not hashed before the server would take it, and the server's own refusal is told", async () => {
    const json = { code: "payload_too_large", detail: "Too large.", field: "contentLength", limit: 1_000_000 };
    await begin({ sign: [{ status: 413, headers: PROBLEM, json }] });
    const digest = vi.spyOn(crypto.subtle, "digest");
    const { error } = await run(photo(new Uint8Array(9 * 1024 * 1024)));
    expect(error).toMatchObject({ code: "payload_too_large", limit: 1_000_000, phase: "rejected", status: 413 });
    expect(error.message).toBe("Too large.");
    expect(digest).not.toHaveBeenCalled();
    expect(server.asked.put).toEqual([]);
    digest.mockRestore();
  });

  test("a type that the page knows to be refused is refused without a request", async () => {
    await begin();
    const limits = { contentTypes: ["image/jpeg", "image/png"] };
    const { error } = await run(photo("<svg/>", "a.svg", "image/svg+xml"), { limits });
    expect(error).toMatchObject({ code: "unsupported_type", phase: "rejected", field: "contentType" });
    expect(error.message).toContain("accepted are JPEG, PNG.");
    expect(server.asked.sign).toEqual([]);
  });

  test("what is to be refused does not wait for its turn", async () => {
    await begin({ put: [() => new Promise(() => {})] });
    const controller = new AbortController();
    const running = run(photo("1"), { concurrency: 1, signal: controller.signal });
    const { error } = await run(photo("12345678901"), { concurrency: 1, limits: { maxBytes: 10 } });
    expect(error.code).toBe("payload_too_large");
    controller.abort();
    await running;
  });

  test("what is no file is a mistake of the page's", async () => {
    await expect(upload(undefined, { api: "https://api.example" })).rejects.toThrow(TypeError);
  });

  test("an empty file is refused", async () => {
    await begin();
    const { error } = await run(photo(""));
    expect(error).toMatchObject({ code: "empty", phase: "rejected" });
    expect(server.asked.sign).toEqual([]);
  });

  test("a file that cannot be read is refused with a reason", async () => {
    await begin();
    const gone = photo();
    gone.arrayBuffer = () => Promise.reject(new DOMException("gone", "NotFoundError"));
    const { error } = await run(gone);
    expect(error).toMatchObject({ code: "unreadable", phase: "rejected" });
  });

  test("a HEIC that this browser cannot decode is refused by its type, and by its name where it has no type", async () => {
    await begin();
    for (const file of [photo("x", "a.heic", "image/heic"), photo("x", "a.HEIF", "")]) {
      const { error } = await run(file);
      expect(error).toMatchObject({ code: "unsupported_type", phase: "rejected" });
      expect(error.message).toContain("HEIC");
    }
    expect(server.asked.sign).toEqual([]);
  });
});

describe("what may pass is tried again", () => {
  test("a server that errs or asks for a pause when it signs", async () => {
    const busy = { status: 429, headers: AT_ONCE, json: { message: "Too Many Requests" } };
    await begin({ sign: [{ status: 503, headers: AT_ONCE }, busy] });
    const { result } = await run(photo());
    expect(result.status).toBe("ready");
    expect(server.asked.sign).toHaveLength(3);
  });

  test("a connection that breaks, wherever it does", async () => {
    await begin({ sign: ["cut"], put: ["cut"], status: ["cut"] });
    const { result, phases } = await run(photo());
    expect(result.status).toBe("ready");
    expect(phases).toEqual(["preparing", "signing", "uploading", "processing", "ready"]);
  });

  test("storage that asks for less", async () => {
    const slow = { status: 503, text: "<Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>" };
    await begin({ put: [slow] });
    expect((await run(photo())).result.status).toBe("ready");
    expect(server.asked.put).toHaveLength(2);
  });

  test("an answer that got lost: the second try is told 412, and that counts as uploaded", async () => {
    const lost = (asking, usual) => (usual.put(asking), "cut");
    await begin({ put: [lost] });
    expect((await run(photo())).result.status).toBe("ready");
    expect(server.asked.put).toHaveLength(2);
    expect(server.asked.sign).toHaveLength(1);
  });

  test.each([
    [400, "IncompleteBody"],
    [400, "RequestTimeout"],
    [409, "ConditionalRequestConflict"],
    [408, ""],
  ])("storage that says %i %s", async (status, code) => {
    await begin({ put: [{ status, text: `<Error><Code>${code}</Code></Error>` }] });
    expect((await run(photo())).result.status).toBe("ready");
    expect(server.asked.put).toHaveLength(2);
  });

  test("an answer that is no JSON object", async () => {
    await begin({ sign: [{ text: "null" }], status: [{ text: "<html>" }] });
    expect((await run(photo())).result.status).toBe("ready");
  });

  test("a server that answers although the browser believes that there is no network", async () => {
    const processing = { json: { status: "processing" }, headers: { "Retry-After": "1" } };
    await begin({ status: [processing] });
    const onLine = vi.spyOn(navigator, "onLine", "get").mockReturnValue(false);
    expect((await run(photo())).result.status).toBe("ready");
    onLine.mockRestore();
  });

  test("a browser without a network, as soon as it has one", async () => {
    await begin({ sign: ["cut"] });
    const onLine = vi.spyOn(navigator, "onLine", "get").mockReturnValue(false);
    const ended = run(photo());
    await vi.waitFor(() => expect(server.asked.sign).toHaveLength(1));
    await new Promise((passed) => setTimeout(passed, 1500));
    expect(server.asked.sign).toHaveLength(1);
    onLine.mockReturnValue(true);
    window.dispatchEvent(new Event("online"));
    expect((await ended).result.status).toBe("ready");
    onLine.mockRestore();
  });

  test("by who uploads, too: bytes that had arrived before all went dark are not sent again", async () => {
    const lost = (asking, usual) => (usual.put(asking), "cut");
    const dark = { status: 503, headers: AT_ONCE };
    const expired = { status: 403, text: "<Error><Message>Request has expired</Message></Error>" };
    await begin({ put: [lost, expired], status: Array(6).fill(dark) });
    const file = photo();
    expect((await run(file)).error).toMatchObject({ phase: "failed", status: 503 });
    expect((await run(file)).result.source.key).toBe("raw/articles/a1/1.jpg");
    expect(server.stored.size).toBe(1);
    expect(server.asked.sign).toHaveLength(1);
  });

  test("by who uploads, too: bytes that had not arrived are sent", async () => {
    await begin({ put: [() => new Promise(() => {})] });
    const controller = new AbortController();
    const file = photo();
    const stopped = run(file, { signal: controller.signal });
    await vi.waitFor(() => expect(server.asked.put).toHaveLength(1));
    controller.abort();
    await stopped;
    expect((await run(file)).result.status).toBe("ready");
    expect(server.stored.size).toBe(1);
  });

  test("but another article has the file for itself", async () => {
    await begin({ status: [{ json: { status: "processing" }, headers: { "Retry-After": "60" } }] });
    const controller = new AbortController();
    const file = photo();
    const stopped = run(file, { articleId: "one", signal: controller.signal });
    await vi.waitFor(() => expect(server.asked.status).toHaveLength(1));
    controller.abort();
    await stopped;
    expect((await run(file, { articleId: "two" })).result.source.key).toBe("raw/articles/a1/2.jpg");
  });

  test("after the API's last word a file is uploaded anew", async () => {
    const failed = { json: { status: "failed", manifest: { failure: { code: "internal", message: "Ours." } } } };
    await begin({ status: [failed] });
    const file = photo();
    expect((await run(file)).error.code).toBe("internal");
    expect((await run(file)).result.source.key).toBe("raw/articles/a1/2.jpg");
    expect((await run(file)).result.source.key).toBe("raw/articles/a1/3.jpg");
  });

  test("but not without end, and then the reason is told", async () => {
    await begin({ sign: Array(20).fill({ status: 500, headers: AT_ONCE, json: { code: "internal_error", detail: "Ours." } }) });
    const { error } = await run(photo());
    expect(error).toMatchObject({ code: "internal_error", status: 500, phase: "failed", message: "Ours." });
    expect(server.asked.sign).toHaveLength(6);
  });
});

describe("what cannot pass is not tried again", () => {
  test("a refusal by the server", async () => {
    const json = { code: "invalid_field", detail: "`articleId` must be...", field: "articleId" };
    await begin({ sign: [{ status: 400, headers: PROBLEM, json }] });
    const { error } = await run(photo(), { articleId: "../x" });
    expect(error).toMatchObject({ code: "invalid_field", field: "articleId", status: 400, phase: "failed" });
    expect(server.asked.sign).toHaveLength(1);
  });

  test("a refusal by storage, which is told in its words", async () => {
    const text = "<Error><Code>SignatureDoesNotMatch</Code><Message>The signature does not match.</Message></Error>";
    await begin({ put: [{ status: 403, text }] });
    const { error } = await run(photo());
    expect(error).toMatchObject({ code: "storage_refused", status: 403, phase: "failed" });
    expect(error.message).toBe("Storage refused the file (403 SignatureDoesNotMatch). The signature does not match.");
    expect(server.asked.put).toHaveLength(1);
  });

  test("an answer that is no problem document still has a code", async () => {
    for (const [status, code] of [[403, "http_403"], [413, "payload_too_large"], [404, "not_found"]]) {
      await begin({ sign: [{ status, text: "<html>" }] });
      expect((await run(photo())).error).toMatchObject({ code, status });
      await server.close();
    }
  });
});

describe("a token", () => {
  test("from a function is asked for again when it was refused, once", async () => {
    const refused = { status: 401, headers: PROBLEM, json: { code: "unauthorized", detail: "Expired." } };
    await begin({ sign: [refused] });
    const token = vi.fn(async ({ refresh }) => (refresh ? "new" : "old"));
    expect((await run(photo(), { token })).result.status).toBe("ready");
    expect(server.asked.sign.map(({ headers }) => headers.authorization)).toEqual(["Bearer old", "Bearer new"]);
  });

  test("that stays refused ends the upload with the server's word", async () => {
    const refused = { status: 401, headers: PROBLEM, json: { code: "unauthorized", detail: "Expired." } };
    await begin({ sign: [refused, refused, refused] });
    const { error } = await run(photo(), { token: async () => "old" });
    expect(error).toMatchObject({ code: "unauthorized", message: "Expired.", phase: "failed" });
    expect(server.asked.sign).toHaveLength(2);
  });

  test("function that says who is not signed in is believed at once", async () => {
    await begin();
    const token = vi.fn(() => Promise.reject(new Error("Sign in first.")));
    const { error } = await run(photo(), { token });
    expect(error).toMatchObject({ code: "unauthorized", message: "Sign in first." });
    expect(token).toHaveBeenCalledTimes(1);
  });

  test("is not needed where anyone may upload", async () => {
    await begin();
    expect((await run(photo(), { token: undefined })).result.status).toBe("ready");
    expect(server.asked.sign[0].headers.authorization).toBeUndefined();
  });
});

describe("a URL that has expired", () => {
  const expired = { status: 403, text: "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>" };

  test("is replaced by a new one", async () => {
    await begin({ put: [expired] });
    const { result, phases } = await run(photo());
    expect(result.source.key).toBe("raw/articles/a1/2.jpg");
    expect(phases.filter((phase) => phase === "signing")).toHaveLength(2);
    expect(server.stored.size).toBe(1);
  });

  test("is not replaced if the bytes have arrived: nothing is uploaded twice", async () => {
    const lost = (asking, usual) => (usual.put(asking), "cut");
    await begin({ put: [lost, expired] });
    const { result } = await run(photo());
    expect(result.source.key).toBe("raw/articles/a1/1.jpg");
    expect(server.stored.size).toBe(1);
    expect(server.asked.sign).toHaveLength(1);
  });

  test("the last time, too, is no reason to give up what has arrived", async () => {
    const lost = (asking, usual) => (usual.put(asking), "cut");
    await begin({ put: [expired, expired, lost, expired] });
    expect((await run(photo())).result.source.key).toBe("raw/articles/a1/3.jpg");
    expect(server.stored.size).toBe(1);
  });

  test("again and again ends the upload", async () => {
    await begin({ put: [expired, expired, expired, expired] });
    const { error } = await run(photo());
    expect(error).toMatchObject({ code: "url_expired", phase: "failed" });
    expect(server.asked.sign).toHaveLength(3);
  });
});

describe("what became of it", () => {
  const told = (json) => ({ status: [{ json }] });

  test("a rejection has the server's code and sentence", async () => {
    const rejection = { code: "corrupt", message: "The image is damaged." };
    await begin(told({ status: "rejected", rejection, manifest: { status: "rejected", rejection } }));
    const { error, phases } = await run(photo());
    expect(error).toBeInstanceOf(UploadError);
    expect(error).toMatchObject({ code: "corrupt", message: "The image is damaged.", phase: "rejected", pending: undefined });
    expect(phases.at(-1)).toBe("rejected");
  });

  test("a failure has the manifest's", async () => {
    const failure = { code: "gave_up", message: "It was tried ten times." };
    await begin(told({ status: "failed", manifest: { status: "failed", failure } }));
    const { error, phases } = await run(photo());
    expect(error).toMatchObject({ code: "gave_up", message: "It was tried ten times.", phase: "failed" });
    expect(phases.at(-1)).toBe("failed");
  });

  test("is asked for as often as Retry-After says", async () => {
    const processing = (seconds) => ({ json: { status: "processing" }, headers: { "Retry-After": seconds } });
    await begin({ status: [processing("0"), processing("0"), processing("1")] });
    const startedAt = performance.now();
    const { result } = await run(photo());
    expect(result.status).toBe("ready");
    expect(server.asked.status).toHaveLength(4);
    // At least what was asked for; how much longer is the machine's affair.
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(990);
  });
});

describe("abort", () => {
  /** Aborts when `when` says so, and gives what came after. */
  async function abortedAt(when, file = photo()) {
    const controller = new AbortController();
    const states = [];
    const onProgress = (state) => {
      states.push(state.phase);
      if (state.phase === when) controller.abort();
    };
    const options = { api: server.api, token: "t", signal: controller.signal, onProgress };
    const error = await upload(file, options).catch((problem) => problem);
    return { error, states };
  }

  test.each(["preparing", "signing", "uploading", "processing"])("while %s ends it with an AbortError, and no state comes after", async (phase) => {
    await begin();
    const { error, states } = await abortedAt(phase);
    expect(error.name).toBe("AbortError");
    expect(states.at(-1)).toBe(phase);
  });

  test("at the last moment still ends it", async () => {
    await begin();
    const controller = new AbortController();
    const told = [];
    const signal = controller.signal;
    const onProgress = ({ phase }) => told.push(phase);
    // When the last answer is read, and before anybody is told.
    const json = Response.prototype.json;
    Response.prototype.json = async function read() {
      const body = await json.call(this);
      if (body.status === "ready") controller.abort();
      return body;
    };
    const error = await upload(photo(), { api: server.api, signal, onProgress }).catch((problem) => problem);
    Response.prototype.json = json;
    expect(error.name).toBe("AbortError");
    expect(told).not.toContain("ready");
  });

  test.each(["token", "file"])("does not wait for a %s that never comes, and gives its turn to the next", async (what) => {
    await begin();
    const never = new Promise(() => {});
    const file = photo();
    if (what === "file") file.arrayBuffer = () => never;
    const controller = new AbortController();
    const token = what === "token" ? () => never : "t";
    const hanging = run(file, { token, concurrency: 1, signal: controller.signal });
    const next = run(photo("next"), { concurrency: 1 });
    await vi.waitFor(() => expect(controller.signal.aborted).toBe(false));
    controller.abort();
    expect((await hanging).error.name).toBe("AbortError");
    expect((await next).result.status).toBe("ready");
  });

  test("before it began sends nothing", async () => {
    await begin();
    const { error, states } = await run(photo(), { signal: AbortSignal.abort(new Error("no")) });
    expect(error.message).toBe("no");
    expect(states).toEqual([]);
    expect(server.asked.sign).toEqual([]);
  });

  test("of one that waits or runs gives its turn to the next", async () => {
    await begin({ put: [() => new Promise(() => {})] });
    const first = new AbortController();
    const second = new AbortController();
    const running = run(photo("1"), { concurrency: 1, signal: first.signal });
    const waiting = run(photo("2"), { concurrency: 1, signal: second.signal });
    const last = run(photo("3"), { concurrency: 1 });
    await vi.waitFor(() => expect(server.asked.put).toHaveLength(1));
    second.abort();
    expect((await waiting).error.name).toBe("AbortError");
    first.abort();
    expect((await running).error.name).toBe("AbortError");
    expect((await last).result.status).toBe("ready");
  });

  test("ends a pause between two tries", async () => {
    await begin({ sign: [{ status: 503, headers: { "Retry-After": "60" } }] });
    const controller = new AbortController();
    const ended = run(photo(), { signal: controller.signal });
    await vi.waitFor(() => expect(server.asked.sign).toHaveLength(1));
    controller.abort();
    expect((await ended).error.name).toBe("AbortError");
  });
});

describe("a reload while it is processed", () => {
  const processing = { json: { status: "processing" }, headers: { "Retry-After": "60" } };

  /** A page that is left while a file of it is processed. */
  async function left(file) {
    const controller = new AbortController();
    const ended = run(file, { signal: controller.signal });
    await vi.waitFor(() => expect(server.asked.status).toHaveLength(1));
    controller.abort();
    await ended;
  }

  test("finds it in mind, and goes on to its end", async () => {
    await begin({ status: [processing] });
    await left(photo("abc", "beach.jpg"));
    const [pending] = pendingUploads({ api: server.api });
    expect(pending).toMatchObject({ key: "raw/articles/a1/1.jpg", name: "beach.jpg", size: 3, type: "image/jpeg" });

    const states = [];
    const manifest = await resume(pending, { api: server.api, token: "t", onProgress: (state) => states.push(state) });
    expect(manifest.source.key).toBe(pending.key);
    expect(phasesOf(states)).toEqual(["processing", "ready"]);
    expect(states[0]).toMatchObject({ loaded: 3, total: 3, key: pending.key });
    expect(pendingUploads({ api: server.api })).toEqual([]);
    expect(server.asked.sign).toHaveLength(1);
  });

  test("finds nothing of what has ended", async () => {
    await begin({ status: [{ json: { status: "rejected", rejection: { code: "corrupt", message: "Damaged." } } }] });
    await run(photo());
    await run(photo("more"));
    expect(pendingUploads({ api: server.api })).toEqual([]);
  });

  test("finds nothing of another API", async () => {
    await begin({ status: [processing] });
    await left(photo());
    expect(pendingUploads({ api: server.api })).toHaveLength(1);
    expect(pendingUploads({ api: "https://elsewhere.example" })).toEqual([]);
  });

  test("one whose end was not seen stays in mind, and its error says how to go on", async () => {
    const unauthorized = { status: 401, headers: PROBLEM, json: { code: "unauthorized", detail: "Expired." } };
    await begin({ status: [unauthorized] });
    const { error } = await run(photo());
    expect(error).toMatchObject({ code: "unauthorized", pending: { key: "raw/articles/a1/1.jpg" } });
    expect(pendingUploads({ api: server.api })).toEqual([error.pending]);
    expect((await resume(error.pending, { api: server.api, token: "t" })).status).toBe("ready");
  });

  test("one that was aborted meanwhile stays in mind, since it is stored", async () => {
    await begin({ status: [processing] });
    const controller = new AbortController();
    const aborted = run(photo(), { signal: controller.signal });
    await vi.waitFor(() => expect(server.asked.status).toHaveLength(1));
    expect(pendingUploads({ api: server.api }), "this page waits for it itself").toEqual([]);
    controller.abort();
    await aborted;
    expect(pendingUploads({ api: `${server.api}/` })).toMatchObject([{ key: "raw/articles/a1/1.jpg" }]);
  });

  test("sends the token to the API alone, whatever a kept key says", async () => {
    await begin();
    const elsewhere = await startServer();
    const pending = { key: `//${new URL(elsewhere.api).host}/x`, statusUrl: `${elsewhere.api}/x`, name: "", size: 1, type: "" };
    await resume(pending, { api: server.api, token: "t", signal: AbortSignal.timeout(300) }).catch(() => {});
    expect(elsewhere.asked.status).toEqual([]);
    expect(server.asked.status[0].path).toMatch(/^\/v1\/uploads\//);
    await elsewhere.close();
  });

  test("one that the server knows nothing of is forgotten", async () => {
    await begin({ status: [{ status: 404, headers: PROBLEM, json: { code: "not_found", detail: "No such upload." } }] });
    const { error } = await run(photo());
    expect(error).toMatchObject({ code: "not_found", phase: "failed", pending: undefined });
    expect(pendingUploads({ api: server.api })).toEqual([]);
  });

  test("whatever lies in the storage does no harm", async () => {
    await begin();
    for (const text of ["{", "null", "7", "{}", '[null, 7, {"key": 1}]']) {
      sessionStorage.setItem(`darkroom.uploads ${server.api}`, text);
      expect(pendingUploads({ api: server.api }), text).toEqual([]);
      expect((await run(photo(text))).result.status).toBe("ready");
    }
  });

  test("a browser that keeps nothing, or may not, uploads all the same", async () => {
    await begin();
    const forbidden = () => {
      throw new DOMException("no", "SecurityError");
    };
    const storage = { getItem: forbidden, setItem: forbidden, removeItem: forbidden };
    for (const kept of [null, storage]) {
      expect((await run(photo(String(kept)), { storage: kept })).result.status).toBe("ready");
      expect(pendingUploads({ api: server.api, storage: kept })).toEqual([]);
    }
  });
});

describe("for who sends the bytes by other means", () => {
  test("`sign` gives a grant of either method, and `waitForManifest` what became of it", async () => {
    await begin();
    const grant = await sign(photo("abc"), { api: `${server.api}/`, token: "t", method: "POST" });
    expect(server.asked.sign[0].wish.method).toBe("POST");
    await fetch(grant.uploadUrl, { method: "PUT", body: "abc" });
    expect((await waitForManifest(grant, { api: server.api, token: "t" })).source.key).toBe(grant.key);
  });
});
