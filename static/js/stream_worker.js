// A shared worker: one event stream of this browser, passed on to all its open pages. A browser opens only six
// connections to a server, so that one stream for each page would leave none for commands.

import { followStream } from "./lib/stream.js";
import { BEAT_MS, STREAM } from "./lib/shared_stream.js";

const pages = new Set();
let state = "lost";
let stop = null;

const sendAll = (message) => pages.forEach((page) => page.postMessage(message));

function follow() {
  return followStream(STREAM, {
    onEvent: (event) => sendAll({ event }),
    onState: (next) => {
      state = next;
      sendAll({ state });
    },
  });
}

function leave(page) {
  pages.delete(page);
  if (pages.size) return;
  stop();
  stop = null;
  state = "lost";
}

self.onconnect = ({ ports: [page] }) => {
  pages.add(page);
  page.onmessage = () => leave(page);
  page.postMessage({ state });
  // The stream's own hello came before this page: without one it would miss what happened while it loaded.
  if (state === "live") page.postMessage({ event: { kind: "hello", id: null, data: "{}" } });
  stop ??= follow();
};

setInterval(() => sendAll({ state }), BEAT_MS);
