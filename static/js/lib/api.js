// The client of the dashboard's server: JSON in, JSON out, one error class.

const TIMEOUT_MS = 10_000;

/** The server rejected the request, or could not be reached (`status` 0). `faults` are `{path, message}`. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = "unreachable", faults = [] } = {}) {
    super(message);
    Object.assign(this, { status, code, faults });
  }
}

/** @param token was sent with the page and proves that a write comes from it. */
export function createApi(token, send = window.fetch.bind(window)) {
  const get = (path) => request(send, path, { headers: { Accept: "application/json" } });

  /** `timeoutMs` can be raised for requests that make the server call the exchange. */
  const post = (path, body, timeoutMs = TIMEOUT_MS) =>
    request(send, path, {
      timeoutMs,
      method: "POST",
      headers: { Accept: "application/json", "Content-Type": "application/json", "X-Hunter-Token": token },
      body: JSON.stringify(body),
    });

  return { get, post };
}

async function request(send, path, options) {
  const response = await fetchOnce(send, path, options);
  const body = await readJson(response);
  if (!response.ok) throw errorFrom(response.status, body);
  return body;
}

async function fetchOnce(send, path, { timeoutMs = TIMEOUT_MS, ...options }) {
  try {
    return await send(path, { ...options, cache: "no-store", signal: AbortSignal.timeout(timeoutMs) });
  } catch (error) {
    throw new ApiError("The dashboard server is not responding.", { code: error.name });
  }
}

async function readJson(response) {
  try {
    return await response.json();
  } catch {
    throw new ApiError(`The server returned status ${response.status} without an explanation.`, { status: response.status });
  }
}

function errorFrom(status, body) {
  const { message = `The server returned status ${status}.`, code = "error", faults = [] } = body?.error ?? {};
  return new ApiError(message, { status, code, faults });
}

/** A random idempotency key: the server executes a command once, however often it arrives. */
export function newNonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
