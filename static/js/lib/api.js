// The one door to our server: JSON in, JSON out, and one kind of error.

const TIMEOUT_MS = 10_000;

/** The server refused, or could not be asked (`status` 0). `faults` are `{path, message}`. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = "unreachable", faults = [] } = {}) {
    super(message);
    Object.assign(this, { status, code, faults });
  }
}

/** @param token what the page was given: it proves that a write comes from this page. */
export function createApi(token, send = window.fetch.bind(window)) {
  const get = (path) => request(send, path, { headers: { Accept: "application/json" } });

  /** `patienceMs` for what takes the server longer than an answer out of its database. */
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
    throw new ApiError("The dashboard server does not answer.", { code: error.name });
  }
}

async function readJson(response) {
  try {
    return await response.json();
  } catch {
    throw new ApiError(`The server answered ${response.status} without a reason.`, { status: response.status });
  }
}

function errorFrom(status, body) {
  const { message = `The server answered ${status}.`, code = "error", faults = [] } = body?.error ?? {};
  return new ApiError(message, { status, code, faults });
}

/** A single-use number for an act that moves money: the server runs it once however often it arrives. */
export function newNonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
