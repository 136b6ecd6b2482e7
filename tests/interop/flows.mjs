// The ways from a file to a published upload that need no library. Each gives what the store answered and
// what became of the upload.

export async function ask(api, token, wish) {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const body = wish && JSON.stringify(wish);
  const answer = await fetch(`${api}/upload-url`, { method: "POST", headers, body });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

export async function final(token, grant) {
  for (;;) {
    const answer = await fetch(grant.statusUrl, { headers: { Authorization: `Bearer ${token}` } });
    if (!answer.ok) throw new Error(await answer.text());
    const { status } = await answer.json();
    if (!answer.headers.has("Retry-After")) return status;
    await new Promise((passed) => setTimeout(passed, 100));
  }
}

/** As tutorials do it: nothing asked for, and nothing sent but the type. */
export async function plainest(api, token, file) {
  const grant = await ask(api, token);
  const headers = { "Content-Type": file.type };
  const { status } = await fetch(grant.uploadUrl, { method: "PUT", headers, body: file });
  return { uploaded: status, status: await final(token, grant) };
}

export async function put(api, token, file) {
  const grant = await ask(api, token, { contentType: file.type, contentLength: file.size });
  const { status } = await fetch(grant.uploadUrl, { method: grant.method, headers: grant.headers, body: file });
  return { uploaded: status, status: await final(token, grant) };
}

export async function form(api, token, file) {
  const wish = { method: "POST", contentType: file.type, contentLength: file.size };
  const grant = await ask(api, token, wish);
  const body = new FormData();
  for (const [name, value] of Object.entries(grant.fields)) body.append(name, value);
  body.append("file", file);
  const { status } = await fetch(grant.uploadUrl, { method: grant.method, body });
  return { uploaded: status, status: await final(token, grant) };
}
