// Owns what this page asks of the local stack beside uploads: its configuration, a token, and its events.
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
 * Calls the listener of each event, by its name, with what it says, now and at each change: `counts` of queue and worker,
 * `metrics` of both functions. `onLink` is called with `live` or `gone`. A page that nobody sees holds no connection: a
 * browser has six of them for all its tabs.
 */
export function watchEvents(listeners, onLink) {
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
    for (const [name, listen] of Object.entries(listeners)) {
      source.addEventListener(name, (event) => listen(JSON.parse(event.data)));
    }
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
