import { Connections } from "./connections.js";
import { History, parse } from "./history.js";
import { Panel } from "./panel.js";
import { signals } from "./signals.js";

const every = 1000; // ms from one scrape to the next
const patience = 5000; // ms that a scrape may take
const longest = 10_000; // ms between two attempts while the server is away
const longestRange = 300; // s

const byId = (id) => document.getElementById(id);

// The plots.

// A plot shows twice its range, for which it needs the samples of a third.
const history = new History(3 * longestRange);
const panels = signals.map((signal) => new Panel(signal, byId("signal"), copy));
byId("signals").append(...panels.map((panel) => panel.element));

let range = Number(byId("range").value);
let paused = false;

function show() {
  if (!paused) panels.forEach((panel) => panel.show(2 * range));
}

byId("range").addEventListener("change", ({ target }) => {
  range = Number(target.value);
  panels.forEach((panel) => panel.setRange(history, range));
  panels.forEach((panel) => panel.show(2 * range));
});

byId("pause").addEventListener("click", ({ target }) => {
  paused = !paused;
  target.setAttribute("aria-pressed", String(paused));
  show();
});

for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) {
  matchMedia(query).addEventListener("change", () => panels.forEach((panel) => panel.redraw()));
}

async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    said("Copied the query");
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling);
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

// The scrapes.

let wait = every;

async function scrape() {
  const time = (performance.timeOrigin + performance.now()) / 1000;
  const samples = await fetchSamples();
  history.add(time, samples);
  panels.forEach((panel) => panel.add(history, range));
  show();
  wait = samples ? every : Math.min(2 * wait, longest);
  setState(samples ? "up" : "away");
  setTimeout(scrape, wait);
}

async function fetchSamples() {
  try {
    const response = await fetch("signals", { cache: "no-store", signal: AbortSignal.timeout(patience) });
    if (!response.ok) return undefined;
    return parse(await response.text(), "ws_");
  } catch {
    return undefined;
  }
}

function setState(state) {
  const element = byId("state");
  if (element.dataset.state === state) return;
  element.dataset.state = state;
  element.textContent =
    state === "up" ? "Scraped once a second" : "The server is away: the page asks again until it is back";
}

// The connections.

let events = []; // {time, text, count}, the newest first
let announce = 0;

// said writes to the list what has happened, and has screen readers say the last
// of a burst.
function said(text) {
  const time = new Date().toLocaleTimeString("en-GB");
  if (events[0]?.text === text && events[0].time === time) events[0].count++;
  else events.unshift({ time, text, count: 1 });
  events = events.slice(0, 6);
  clearTimeout(announce);
  announce = setTimeout(() => (byId("announced").textContent = written(events[0])), 500);
}

const written = ({ text, count }) => (count > 1 ? `${text}, ${count} times` : text);

function showConnections() {
  byId("open-echo").textContent = connections.count("/echo");
  byId("open-room").textContent = connections.count("/room");
  byId("sent").textContent = connections.sent.toLocaleString("en");
  byId("received").textContent = connections.received.toLocaleString("en");
  const items = events.map((event) => {
    const item = document.createElement("li");
    const time = document.createElement("time");
    time.textContent = event.time;
    item.append(time, ` ${written(event)}`);
    return item;
  });
  byId("events").replaceChildren(...items);
}

const connections = new Connections(said);

byId("open").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  connections.open(form.get("path"), Number(form.get("count")));
});

// asked returns what the form asks to send, or undefined where it is not valid.
function asked() {
  const form = byId("send");
  if (!form.checkValidity()) return undefined;
  const data = new FormData(form);
  return { size: Number(data.get("size")), rate: Number(data.get("rate")), binary: data.get("type") === "binary" };
}

byId("send").addEventListener("submit", (event) => {
  event.preventDefault();
  const { size, binary } = asked();
  connections.send(size, binary);
});

let sending = false;
byId("keep").addEventListener("click", ({ target }) => {
  if (!sending && !byId("send").reportValidity()) return;
  sending = !sending;
  target.setAttribute("aria-pressed", String(sending));
});

const tick = 50; // ms
let ticked = performance.now();
setInterval(() => {
  const now = performance.now();
  const form = sending && asked();
  if (form) connections.keepSending((now - ticked) / 1000, form.rate, form.size, form.binary);
  ticked = now;
}, tick);

byId("end").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const n = form.get("which") === "all" ? Infinity : 1;
  const code = form.get("code") ? Number(form.get("code")) : undefined;
  switch (event.submitter?.value) {
    case "cut":
      return attempt(connections.cut(n));
    case "vanish":
      return attempt(connections.vanish());
    default:
      return connections.close(n, code);
  }
});

async function attempt(request) {
  try {
    await request;
  } catch (error) {
    said(`Failed to ask the server: ${error.message}`);
  }
}

panels.forEach((panel) => panel.setRange(history, range));
show();
scrape();
showConnections();
setInterval(showConnections, 250);
