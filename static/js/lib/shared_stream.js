// The event stream of a page: through the browser's shared worker, else a connection of its own while it is visible.

import { combine, on } from "./dom.js";
import { followStream } from "./stream.js";

export const STREAM = "/api/stream";
/** How often the worker reports, so that a page notices if it is gone. */
export const BEAT_MS = 10_000;
const MOST_MISSED = 3;
const WORKER = "/static/js/stream_worker.js";
/** Pages of another release must not join: change it with the messages. */
const WORKER_NAME = "hunter-stream-1";

/** As `followStream`, but with one connection for all pages of this browser. */
export function followSharedStream(handlers) {
  let undo = null;
  const followAlone = () => {
    undo?.();
    undo = followWhileVisible(handlers);
  };
  if (typeof SharedWorker === "undefined") followAlone(); // Chrome on Android
  else undo = joinWorker(handlers, followAlone);
  return () => undo();
}

function joinWorker({ onEvent, onState }, onFailure) {
  const worker = new SharedWorker(WORKER, { type: "module", name: WORKER_NAME });
  let missed = 0;
  worker.onerror = onFailure;
  worker.port.onmessage = ({ data }) => {
    missed = 0;
    if (data.event) onEvent(data.event);
    else onState(data.state);
  };
  const watch = setInterval(() => {
    missed += 1;
    if (missed >= MOST_MISSED) onFailure();
  }, BEAT_MS);
  return () => {
    clearInterval(watch);
    worker.onerror = null;
    worker.port.postMessage("leave");
    worker.port.close();
  };
}

/** Hidden pages let go of their connection. */
function followWhileVisible(handlers) {
  let stop = null;
  const adapt = () => {
    if (!document.hidden) stop ??= followStream(STREAM, handlers);
    else if (stop) {
      stop();
      stop = null;
    }
  };
  adapt();
  return combine(on(document, "visibilitychange", adapt), () => stop?.());
}
