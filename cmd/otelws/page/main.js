import { Connections } from "./connections.js";
import { History } from "./history.js";
import { Panel } from "./panel.js";
import { signals } from "./signals.js";

const every = 1000; // ms from one request to the next
const patience = 5000; // ms that a request may take
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
  target.textContent = paused ? "Resume" : "Pause";
  if (paused) setState("paused");
  else request();
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

// The scrapes. The server makes one a second, and keeps the last fifteen minutes.

let wait = every;
let last = 0; // the time of the newest scrape, by the server's clock
let ahead = 0; // s that the server's clock is ahead of this one
let timer;

const now = () => (performance.timeOrigin + performance.now()) / 1000 + ahead;

async function request() {
  const scrapes = await fetchScrapes();
  const added = store(scrapes);
  if (added === 1) panels.forEach((panel) => panel.add(history, range));
  else if (added > 1) panels.forEach((panel) => panel.setRange(history, range));
  if (paused) return;
  show();
  wait = scrapes ? every : Math.min(2 * wait, longest);
  setState(scrapes ? "up" : "away");
  clearTimeout(timer); // of another request, after a short pause
  timer = setTimeout(request, wait);
}

// store adds the scrapes that are new, or a gap if there was no answer. It returns
// their number.
function store(scrapes) {
  if (!scrapes) {
    history.add(now());
    return 1;
  }
  let added = 0;
  scrapes.times.forEach((time, i) => {
    if (time <= last) return;
    const samples = scrapes.series.map(({ name, labels, values }) => ({ name, labels, value: values[i] }));
    history.add(
      time,
      samples.filter(({ value }) => value !== null),
    );
    last = time;
    added++;
  });
  if (added > 0) ahead += last - now();
  return added;
}

async function fetchScrapes() {
  try {
    const response = await fetch(`signals?since=${last}`, { cache: "no-store", signal: AbortSignal.timeout(patience) });
    return response.ok ? await response.json() : undefined;
  } catch {
    return undefined;
  }
}

const states = {
  up: "Scraped once a second",
  paused: "Paused",
  away: "The server is away: the page asks again until it is back",
};

function setState(state) {
  const element = byId("state");
  if (element.dataset.state === state) return;
  element.dataset.state = state;
  element.textContent = states[state];
}

// The connections.

let events = []; // {time, text, count}, the newest first
let announce = 0;

// said adds an event to the list. Screen readers say the last of a burst.
function said(text) {
  const time = new Date().toLocaleTimeString("en-GB");
  if (events[0]?.text === text && events[0].time === time) events[0].count++;
  else events.unshift({ time, text, count: 1 });
  events = events.slice(0, 20);
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

const { echoLimit, roomLimit } = byId("send").dataset;
const connections = new Connections({ "/echo": Number(echoLimit), "/room": Number(roomLimit) }, said);

byId("open").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  connections.open(form.get("path"), Number(form.get("count")));
});

// asked returns the message of the form, or undefined if the form is not valid.
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
  const time = performance.now();
  const form = sending && asked();
  if (form) connections.keepSending((time - ticked) / 1000, form.rate, form.size, form.binary);
  ticked = time;
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
request();
showConnections();
setInterval(showConnections, 250);
