// Owns what this page knows of its Darkroom. A real one asks its own sign-in for the token and has the rest in its
// configuration; the development server tells all of it.

import type { Limits } from "darkroom-web/upload.js";

export const api: string = import.meta.env.VITE_DARKROOM_API ?? "http://127.0.0.1:8787";

export interface Config {
  cdn: string;
  limits: Limits;
}

/** Where pictures are served, and what may be uploaded. */
export async function fetchConfig(): Promise<Config> {
  const { cdn, maxBytes, accepted } = await dev("config.json");
  return { cdn, limits: { maxBytes, contentTypes: accepted } };
}

let knownToken = "";

/** The token for uploads; with `refresh`, a new one. */
export async function token({ refresh }: { refresh: boolean }): Promise<string> {
  if (refresh || !knownToken) knownToken = (await dev("token")).token;
  return knownToken;
}

async function dev(path: string) {
  const response = await fetch(`${api}/dev/${path}`);
  return response.json();
}
