// Owns what this page asks of the local stack beside uploads: its configuration, a token, and its counts as they change.
// It never touches the document.

/** A stack that answers with an error, such as a proxy's 502, is asked again; the browser itself would give up. */
const REOPEN_AFTER_MS = 3000;

/** Where the CDN is, and what may be uploaded. */
export async function fetchConfig() {
  try {
    return await fetchJson("/dev/config.json");
  } catch {
    throw new Error("Darkroom does not answer. Is it still running?");
  }
}

let tokenPromise;

/** Asked for once and shared by all that wait for it; a failure is not kept. */
export function token({ refresh }) {
  if (refresh) tokenPromise = undefined;
  tokenPromise ??= fetchJson("/dev/token").then(
    (answer) => answer.token,
    (error) => {
      tokenPromise = undefined;
      throw error;
    },
  );
  return tokenPromise;
}

/**
 * Calls `onCounts` with the counts of queue and worker, now and at each change, and `onLink` with `live` or `gone`. A page
 * that nobody sees holds no connection: a browser has six of them for all its tabs.
 */
export function watchCounts(onCounts, onLink) {
  let source;
  let reopening;
  const close = () => {
    clearTimeout(reopening);
    source?.close();
  };
  const open = () => {
    close();
    source = new EventSource("/dev/events");
    source.onopen = () => onLink("live");
    source.onerror = () => {
      onLink("gone");
      if (source.readyState === EventSource.CLOSED) reopening = setTimeout(open, REOPEN_AFTER_MS);
    };
    source.addEventListener("counts", (event) => onCounts(JSON.parse(event.data)));
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
}

async function fetchJson(url) {
  const response = await fetch(url, { cache: "no-store" });
  // As `fetch` itself fails, so that both read as a server that is not there.
  if (!response.ok) throw new TypeError(`${url} answered ${response.status}`);
  return response.json();
}
