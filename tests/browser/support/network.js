// Owns what happens to a network: slow, cut, answers that get lost. Everything is done to real requests on their way to the
// real stack; no answer is made up.

import http from "node:http";

/** Paces what pages of this browser send. What comes back sets another pace, or none. */
export async function pace(page, uploadBytesPerSecond) {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  const set = (uploadThroughput = -1) =>
    session.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput });
  await set(uploadBytesPerSecond);
  return set;
}

/**
 * The next `times` requests of this method arrive and are answered, but their answers do not reach the page. What comes back
 * tells how many so far.
 */
export async function loseAnswers(page, { method, to, times = 1 }) {
  const session = await page.context().newCDPSession(page);
  let lost = 0;
  session.on("Fetch.requestPaused", ({ requestId, request }) => {
    if (request.method !== method || lost === times) return session.send("Fetch.continueRequest", { requestId });
    lost += 1;
    return session.send("Fetch.failRequest", { requestId, errorReason: "ConnectionReset" });
  });
  await session.send("Fetch.enable", { patterns: [{ urlPattern: `${to}/*`, requestStage: "Response" }] });
  return () => lost;
}

/** A proxy between a browser and everything, with a cable that can be pulled. */
export async function startCable() {
  const open = new Set();
  let isCut = false;
  const proxy = http.createServer(forward);
  proxy.on("connection", (socket) => {
    if (isCut) return socket.destroy();
    open.add(socket);
    return socket.once("close", () => open.delete(socket));
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    isCut = true;
    for (const socket of open) socket.destroy();
  };
  return {
    // Chromium takes a loopback address past its proxy unless it is told otherwise.
    proxy: { server: `http://127.0.0.1:${proxy.address().port}`, bypass: "<-loopback>" },
    cut,
    mend: () => (isCut = false),
    stop: () => {
      cut();
      proxy.close();
    },
  };
}

function forward(request, response) {
  const { method, headers, url } = request;
  const onwards = http.request(url, { method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  onwards.once("error", () => response.destroy());
  // Half of a request must not look like a whole one.
  request.once("aborted", () => onwards.destroy());
  response.once("close", () => onwards.destroy());
  request.pipe(onwards);
}
