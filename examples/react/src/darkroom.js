// Owns what this page knows of its Darkroom. A real one asks its own sign-in for the token and has the rest in its
// configuration; the development server tells all of it.

export const api = import.meta.env.VITE_DARKROOM_API ?? "http://127.0.0.1:8787";

/** Where pictures are served, and what may be uploaded. */
export async function fetchConfig() {
  const { cdn, maxBytes, accepted } = await dev("config.json");
  return { cdn, limits: { maxBytes, contentTypes: accepted } };
}

let knownToken;

/** The token for uploads; with `refresh`, a new one. */
export async function token({ refresh }) {
  if (refresh || !knownToken) knownToken = (await dev("token")).token;
  return knownToken;
}

async function dev(path) {
  const response = await fetch(`${api}/dev/${path}`);
  return response.json();
}
