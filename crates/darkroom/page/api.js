// Owns every call to Darkroom's API: the configuration, the token, and turning what goes wrong into a sentence.
// It never touches the document and never talks to S3.

/** Something that went wrong, whose message is a sentence for people and whose `status` is HTTP's, 0 without an answer. */
export class Problem extends Error {
  constructor(sentence, status = 0, code = undefined, retryAfterMs = undefined) {
    super(sentence);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Where the CDN is, and what may be uploaded. */
export function fetchConfig() {
  return fetchJson("/dev/config.json");
}

/** POST /upload-url: where to send these bytes, and with which headers. */
export function requestUploadUrl(file) {
  // Without a type of its own (some systems know none for a file) the server guesses it from the name.
  const contentType = file.type || undefined;
  return fetchAsUser("/upload-url", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ contentType, contentLength: file.size, fileName: file.name }),
  }).then((response) => response.json());
}

/** GET the status of an upload, and how long the server would have us wait before we ask again. */
export async function fetchStatus(statusUrl) {
  // no-store: an answer from the cache would hide that the photo is ready.
  const response = await fetchAsUser(new URL(statusUrl, location.href), { cache: "no-store" });
  return { ...(await response.json()), retryAfterMs: retryAfterMs(response) };
}

let tokenPromise;

/** The token is asked for once and shared by all that wait for it; a failure is not kept. */
function currentToken() {
  tokenPromise ??= fetchJson("/dev/token").then(
    (answer) => answer.token,
    (problem) => {
      tokenPromise = undefined;
      throw problem;
    },
  );
  return tokenPromise;
}

/** Fetches with the user's token; a 401 gets a new token and one more try, since tokens expire. */
async function fetchAsUser(url, options) {
  const used = currentToken();
  try {
    return await fetchWithToken(url, options, await used);
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    // Another call may have renewed it meanwhile.
    if (tokenPromise === used) tokenPromise = undefined;
    return fetchWithToken(url, options, await currentToken());
  }
}

function fetchWithToken(url, options, token) {
  return fetchOrProblem(url, { ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` } });
}

async function fetchJson(url) {
  const response = await fetchOrProblem(url, { cache: "no-store" });
  return response.json();
}

/** The response, if it is a good one; every other end is a `Problem`. */
async function fetchOrProblem(url, options) {
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    throw new Problem("Darkroom does not answer. Is it still running?");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** From application/problem+json; a proxy in between may have answered with anything else. */
async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  const sentence = body.detail || body.title || `The server answered ${response.status}.`;
  return new Problem(sentence, response.status, body.code, retryAfterMs(response));
}

/** Retry-After in milliseconds, given in seconds or as a date; undefined without one. */
function retryAfterMs(response) {
  const value = response.headers.get("Retry-After");
  if (!value) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : ms;
}
