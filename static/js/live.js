// Keeps the page up to date: what changed comes as topics over the event stream, and each part that a topic concerns
// fetches itself anew. Without the stream every part is fetched every POLL milliseconds.

const POLL = 10_000;
const DEBOUNCE = 1_000;
const listeners = [];
const pending = new Map();
let connected = false;

function concerns(tokens, topics) {
  return topics.some((topic) =>
    tokens.some((token) => topic === token || topic.startsWith(`${token}/`) || topic.startsWith(`${token}:`)),
  );
}

/** Call `refresh` when one of the space-separated topics changes, at most once a second, never in a hidden tab. */
export function onChange(topics, refresh) {
  const listener = { tokens: topics.split(/\s+/).filter(Boolean), refresh, last: 0 };
  listeners.push(listener);
  return listener;
}

function schedule(listener) {
  if (pending.has(listener)) return;
  if (document.hidden) {
    pending.set(listener, null);
    return;
  }
  const wait = Math.max(0, listener.last + DEBOUNCE - Date.now());
  pending.set(listener, setTimeout(run, wait, listener));
}

/** The same every so many seconds, whatever changes. */
function every(seconds, listener) {
  setInterval(schedule, seconds * 1000, listener);
}

function run(listener) {
  pending.delete(listener);
  listener.last = Date.now();
  listener.refresh();
}

function show(state) {
  const element = document.getElementById("live-state");
  if (!element || element.dataset.state === state) return;
  element.dataset.state = state;
  const word = { live: "Live", waiting: "Reconnecting", polling: "Polling" }[state];
  element.querySelector(".live-word").textContent = word;
}

function connect(address) {
  const tokens = [...new Set(listeners.flatMap((listener) => listener.tokens))];
  const source = new EventSource(`${address}?topics=${encodeURIComponent(tokens.join(" "))}`, { withCredentials: true });
  let failures = 0;
  source.addEventListener("open", () => {
    // What happened while the stream was away is unknown, so everything is fetched once.
    if (failures) listeners.forEach(schedule);
    connected = true;
    failures = 0;
    show("live");
  });
  source.addEventListener("message", (event) => {
    const { topics } = JSON.parse(event.data);
    listeners.filter((listener) => concerns(listener.tokens, topics)).forEach(schedule);
  });
  source.addEventListener("error", () => {
    connected = false;
    failures += 1;
    show(failures > 2 || source.readyState === EventSource.CLOSED ? "polling" : "waiting");
    // A refusal (logged out, too many streams) closes the source for good; ask again later.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 6 * POLL, address);
  });
}

export function begin() {
  for (const part of document.querySelectorAll("[data-live]")) {
    const listener = onChange(part.dataset.live, () => window.htmx.trigger(part, "refresh"));
    if (part.dataset.every) every(Number(part.dataset.every), listener);
    if (part.dataset.soon) setTimeout(schedule, part.dataset.soon * 1000, listener);
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    for (const [listener, timer] of [...pending]) if (timer === null) run(listener);
  });
  setInterval(() => connected || listeners.forEach(schedule), POLL);
  const address = document.querySelector('meta[name="live"]')?.content;
  // Charts add their listeners while their modules run; the stream is opened when all of them have.
  if (address && listeners.length) connect(address);
}
