// Owns a small HTTP server that answers as Darkroom's API and S3 do, and that a test can tell to fail. It keeps what it was
// asked. It judges nothing: whether the client is right is the tests' affair.

import http from "node:http";

/** `answers`: for each kind of request (`sign`, `put`, `status`) the answers to give first; after them all goes well.
 * An answer is `{status, headers, json, text}`, `"cut"` (the connection breaks), or a function of the request to await first. */
export async function startServer(answers = {}) {
  const asked = { sign: [], put: [], status: [] };
  const stored = new Map();
  let most = 0;
  let running = 0;
  const usual = {
    sign: ({ origin, wish }) => {
      const key = `raw/articles/a1/${asked.sign.length}.jpg`;
      const headers = { "Content-Type": wish.contentType ?? "image/jpeg", "If-None-Match": "*" };
      const urls = { uploadUrl: `${origin}/bucket/${key}`, statusUrl: `${origin}/v1/uploads/${key}` };
      return { json: { method: "PUT", headers, key, articleId: "a1", expiresIn: 900, maxBytes: 1_000_000, ...urls } };
    },
    put: ({ path, body }) => {
      if (stored.has(path)) return { status: 412 };
      stored.set(path, body);
      return { status: 200 };
    },
    status: ({ path }) => {
      const key = path.replace("/v1/uploads/", "");
      if (!stored.has(`/bucket/${key}`)) return { json: { status: "awaiting_upload", key }, headers: { "Retry-After": "0" } };
      return { json: { status: "ready", key, manifest: { status: "ready", source: { key }, renditions: [] } } };
    },
  };
  const server = http.createServer(async (request, response) => {
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Access-Control-Allow-Headers", "*, Authorization");
    response.setHeader("Access-Control-Allow-Methods", "*");
    response.setHeader("Access-Control-Expose-Headers", "Retry-After");
    if (request.method === "OPTIONS") return response.end();
    const kind = request.method === "PUT" ? "put" : request.method === "POST" ? "sign" : "status";
    running += kind === "put" ? 1 : 0;
    most = Math.max(most, running);
    request.on("error", () => {});
    const body = await bytesOf(request);
    const asking = { path: request.url, headers: request.headers, body, origin: `http://${request.headers.host}` };
    if (kind === "sign") asking.wish = JSON.parse(body.toString());
    asked[kind].push(asking);
    const scripted = answers[kind]?.shift();
    const answer = (typeof scripted === "function" ? await scripted(asking, usual) : scripted) ?? usual[kind](asking);
    running -= kind === "put" ? 1 : 0;
    if (answer === "cut") return request.socket.destroy();
    response.writeHead(answer.status ?? 200, answer.headers);
    return response.end(answer.json ? JSON.stringify(answer.json) : (answer.text ?? ""));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const close = () => {
    server.closeAllConnections();
    return new Promise((closed) => server.close(closed));
  };
  return { api: `http://127.0.0.1:${server.address().port}/v1`, asked, stored, close, mostPuts: () => most };
}

async function bytesOf(request) {
  const chunks = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    // The client went away.
  }
  return Buffer.concat(chunks);
}
