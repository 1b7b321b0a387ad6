// A signal on the page: its plot, its values as text, and its queries.

import { Plot, clock, lineStyles } from "./plot.js";
import { buckets } from "./promql.js";
import { perSecond } from "./signals.js";

const tableRows = 10;

export class Panel {
  #signal;
  #root;
  #plot;
  #times = []; // of the points below, in seconds
  #vectors; // for each query, its value at each time
  #lines = []; // {name, style, values}
  #shares = []; // the buckets that are drawn, at each time
  #cursor = null; // the time under the pointer

  constructor(signal, template, copy) {
    this.#signal = signal;
    this.#vectors = signal.queries.map(() => []);
    this.#root = template.content.cloneNode(true).firstElementChild;
    this.#root.id = signal.id;
    this.#find(".title").textContent = signal.title;
    this.#find(".title").id = `${signal.id}-title`;
    this.#root.setAttribute("aria-labelledby", `${signal.id}-title`);
    this.#find(".metric").textContent = signal.metric;
    this.#find(".what").textContent = signal.what;
    this.#find(".now caption").textContent = `${signal.title}: the values that are plotted`;
    this.#find(".past").setAttribute("aria-label", `${signal.title}: the last values`);
    for (const { expr } of signal.queries) this.#addQuery(expr, copy);
    this.#find("details").addEventListener("toggle", () => this.#showPast());
    this.#plot = new Plot(this.#find(".plot"), signal, (i) => this.#point(i));
  }

  get element() {
    return this.#root;
  }

  #find(selector) {
    return this.#root.querySelector(selector);
  }

  #addQuery(expr, copy) {
    const item = create("li");
    const code = create("code");
    const button = create("button", "Copy");
    button.type = "button";
    button.addEventListener("click", () => copy(button, code.textContent));
    item.append(code, button);
    item.update = (range) => {
      code.textContent = expr.text(range);
      button.setAttribute("aria-label", `Copy ${code.textContent}`);
    };
    this.#find(".queries").append(item);
  }

  // setRange computes all points anew, with another range of the queries.
  setRange(history, range) {
    for (const item of this.#find(".queries").children) item.update(range);
    this.#times = [...history.times];
    this.#vectors = this.#signal.queries.map(({ expr }) => this.#times.map((time) => expr.at(history, time, range)));
  }

  // add computes the point of the newest scrape.
  add(history, range) {
    const time = history.times.at(-1);
    this.#times.push(time);
    this.#signal.queries.forEach(({ expr }, i) => this.#vectors[i].push(expr.at(history, time, range)));
    while (this.#times[0] < history.times[0]) {
      this.#times.shift();
      this.#vectors.forEach((vectors) => vectors.shift());
    }
  }

  // show draws the points of the last seconds.
  show(seconds) {
    const to = this.#times.at(-1) ?? Date.now() / 1000;
    let start = this.#times.length;
    while (start > 0 && this.#times[start - 1] > to - seconds) start--;
    const times = this.#times.slice(start);
    this.#lines = this.#linesFrom(start);
    const heat = this.#signal.queries.findIndex((q) => q.buckets);
    this.#shares = heat < 0 ? times.map(() => []) : this.#vectors[heat].slice(start);
    this.#plot.show(times, this.#lines, this.#shares, to - seconds, to);
    this.#showNow();
    this.#showPast();
  }

  redraw() {
    this.#plot.redraw();
  }

  // #linesFrom returns a line for each label of each query that is not drawn as
  // buckets, by name. A time without a value has NaN.
  #linesFrom(start) {
    const byName = new Map();
    this.#signal.queries.forEach((query, i) => {
      if (query.buckets) return;
      const vectors = this.#vectors[i].slice(start);
      // Quantiles have a line before they have a value.
      if (this.#signal.scale) byName.set(query.name({}), vectors.map(() => NaN));
      vectors.forEach((vector, at) => {
        for (const { labels, value } of vector) {
          const name = query.name(labels);
          if (!byName.has(name)) byName.set(name, vectors.map(() => NaN));
          byName.get(name)[at] = value;
        }
      });
    });
    const lines = [...byName].map(([name, values]) => ({ name, values }));
    if (!this.#signal.scale) lines.sort((a, b) => a.name.localeCompare(b.name));
    const styles = lineStyles(lines.map(({ name }) => name));
    return lines.map(({ name, values }, i) => ({ name, values, style: styles[i] }));
  }

  // #point takes the place of the pointer, in this plot or in another.
  #point(i) {
    this.#cursor = i;
    this.#showNow();
  }

  #showNow() {
    const shown = this.#lines[0]?.values.length ?? 0;
    const at = this.#cursor !== null && this.#cursor < shown ? this.#cursor : shown - 1;
    const time = this.#times[this.#times.length - shown + at];
    this.#find(".at").textContent = at === shown - 1 ? "now" : clock(time);
    const rows = this.#lines.map(({ name, style, values }) => {
      const known = values.filter(Number.isFinite);
      const row = create("tr");
      const head = create("th", name);
      head.scope = "row";
      head.prepend(swatch(style));
      row.append(head, this.#cell(values[at]), this.#cell(least(known)), this.#cell(greatest(known)));
      return row;
    });
    this.#find(".now tbody").replaceChildren(...rows);
  }

  #cell(value, unit = this.#signal.unit) {
    const cell = create("td");
    if (!Number.isFinite(value)) {
      cell.append(create("span", "–"));
      cell.firstChild.setAttribute("aria-label", "no value");
      cell.firstChild.setAttribute("role", "img");
      return cell;
    }
    const data = create("data", unit.text(value));
    data.value = String(value);
    cell.append(data);
    return cell;
  }

  // #showPast fills the table of the last values, while it is open.
  #showPast() {
    if (!this.#find("details").open) return;
    const columns = [...this.#lines, ...this.#bucketColumns()];
    const table = this.#find(".past table");
    const head = create("tr");
    for (const text of ["time", ...columns.map(({ name }) => name)]) {
      const cell = create("th", text);
      cell.scope = "col";
      head.append(cell);
    }
    const shown = columns[0]?.values.length ?? 0;
    const rows = [];
    for (let i = shown - 1; i >= Math.max(0, shown - tableRows); i--) {
      const row = create("tr");
      const time = create("th", clock(this.#times[this.#times.length - shown + i]));
      time.scope = "row";
      row.append(time, ...columns.map(({ values, unit }) => this.#cell(values[i], unit)));
      rows.push(row);
    }
    table.tHead.replaceChildren(head);
    table.tBodies[0].replaceChildren(...rows);
  }

  // #bucketColumns are the shades in numbers, not cumulative.
  #bucketColumns() {
    const sorted = this.#shares.map(buckets);
    const widest = sorted.reduce((a, b) => (b.length > a.length ? b : a), []);
    return widest.map(({ bound }, i) => ({
      name: bound === Infinity ? "above" : `to ${this.#signal.unit.text(bound)}`,
      values: sorted.map((column) => (column[i] ? column[i].count - (column[i - 1]?.count ?? 0) : NaN)),
      unit: perSecond,
    }));
  }
}

function create(tag, text = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

// swatch is a piece of a line, dashes and all.
function swatch({ colour, dash }) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 4");
  svg.setAttribute("class", `swatch ${colour}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", "M0 2h20");
  path.setAttribute("stroke-dasharray", dash.join(" "));
  svg.append(path);
  return svg;
}

function least(values) {
  return values.reduce((a, b) => Math.min(a, b), values[0]);
}

function greatest(values) {
  return values.reduce((a, b) => Math.max(a, b), values[0]);
}
