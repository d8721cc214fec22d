// Server-sent events over fetch: unlike EventSource it sees heartbeat comments, so a dead connection is detected.

import { newNonce } from "./api.js";

const SILENCE_MS = 40_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

/** Returns a function that takes text as it arrives and calls `onEvent({kind, id, data})` for each complete event. */
export function createParser(onEvent) {
  let rest = "";
  return (text) => {
    rest += text.replaceAll("\r\n", "\n");
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = parseBlock(block);
      if (event) onEvent(event);
    }
  };
}

function parseBlock(block) {
  const event = { kind: "message", id: null, data: "" };
  const lines = [];
  for (const line of block.split("\n")) {
    const [, name, value] = /^(event|id|data): ?(.*)$/.exec(line) ?? [];
    if (name === "event") event.kind = value;
    if (name === "id") event.id = value;
    if (name === "data") lines.push(value);
  }
  event.data = lines.join("\n");
  return lines.length ? event : null;
}

/**
 * Follow the stream at `url` until the returned function is called. Reconnects with growing pauses, resumes after the
 * last event id, and drops a connection without data for SILENCE_MS. `onState` is called with "live", "lost" or
 * "refused": the server has no place for another stream and is asked again when it says.
 */
export function followStream(url, { onEvent, onState }) {
  let isOver = false;
  let lastId = null;
  let pauseMs = FIRST_PAUSE_MS;
  let line = new AbortController();
  const client = newNonce();

  const parse = createParser((event) => {
    lastId = event.id ?? lastId;
    onEvent(event);
  });

  async function follow() {
    while (!isOver) {
      line = new AbortController();
      const refusedMs = await readLine(url, headersFor(client, lastId), line, parse, () => {
        pauseMs = FIRST_PAUSE_MS;
        onState("live");
      });
      if (isOver) return;
      onState(refusedMs ? "refused" : "lost");
      await new Promise((resume) => setTimeout(resume, (refusedMs || pauseMs) * (0.75 + Math.random() / 2)));
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }

  follow();
  return () => {
    isOver = true;
    line.abort();
  };
}

const headersFor = (client, lastId) => ({
  Accept: "text/event-stream",
  "X-Hunter-Client": client,
  ...(lastId && { "Last-Event-ID": lastId }),
});

/** Returns after how many ms to try again if the server refused for lack of places, else 0. */
async function readLine(url, headers, line, parse, onOpen) {
  let watch = setTimeout(() => line.abort(), SILENCE_MS);
  try {
    const response = await fetch(url, { headers, cache: "no-store", signal: line.signal });
    if (response.status === 429) return (Number(response.headers.get("Retry-After")) || 20) * 1000;
    if (!response.ok) return 0;
    onOpen();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      clearTimeout(watch);
      watch = setTimeout(() => line.abort(), SILENCE_MS);
      parse(part.value);
    }
  } catch {
    // Connections do break: the caller waits and reconnects.
  } finally {
    clearTimeout(watch);
  }
  return 0;
}
