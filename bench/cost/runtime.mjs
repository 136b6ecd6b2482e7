// Lambda's Runtime API, from the function's side: takes invocations one after the other, has the handler named on the
// command line, `worker` or `on_request`, answer them, and reports what it throws. It knows nothing of images.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
const API = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;

const { handler } = await import(`./${process.argv[2]}.mjs`);

for (;;) {
  const { id, event } = await next();
  try {
    await post(`${id}/response`, await handler(event));
  } catch (error) {
    await post(`${id}/error`, { errorType: error.name, errorMessage: error.message, stackTrace: error.stack.split("\n") });
  }
}

async function next() {
  const response = await fetch(`${API}/next`);
  return { id: response.headers.get("Lambda-Runtime-Aws-Request-Id"), event: await response.json() };
}

async function post(path, answer) {
  const response = await fetch(`${API}/${path}`, { method: "POST", body: JSON.stringify(answer) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
}
