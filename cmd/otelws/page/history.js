// The scrapes of the last minutes, as Prometheus would have stored them.

const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)/;
const label = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const escapes = { n: "\n", '"': '"', "\\": "\\" };

// parse reads Prometheus's text format. It returns the samples whose name
// begins with prefix.
export function parse(text, prefix = "") {
  const samples = [];
  for (const row of text.split("\n")) {
    if (!row.startsWith(prefix)) continue;
    const match = line.exec(row);
    if (!match) continue;
    const [, name, list = "", value] = match;
    const labels = {};
    for (const [, key, raw] of list.matchAll(label)) {
      labels[key] = raw.replace(/\\(.)/g, (both, c) => escapes[c] ?? both);
    }
    samples.push({ name, labels, value: number(value) });
  }
  return samples;
}

function number(text) {
  const infinite = /^([+-]?)Inf$/.exec(text);
  if (infinite) return infinite[1] === "-" ? -Infinity : Infinity;
  return Number(text);
}

// History holds the points of every series for keep seconds.
export class History {
  #keep;
  #series = new Map(); // by name, and then by labels: {labels, times, values}

  constructor(keep) {
    this.#keep = keep;
    this.times = []; // of all scrapes, the failed ones too, in seconds
  }

  // add stores a scrape of that time. One that failed has no samples: as in
  // Prometheus, every series is stale then.
  add(time, samples = []) {
    this.times.push(time);
    for (const { name, labels, value } of samples) {
      if (!this.#series.has(name)) this.#series.set(name, new Map());
      const byLabels = this.#series.get(name);
      const key = keyOf(labels);
      if (!byLabels.has(key)) byLabels.set(key, { labels, times: [], values: [] });
      const series = byLabels.get(key);
      series.times.push(time);
      series.values.push(value);
    }
    this.#forget(time - this.#keep);
  }

  #forget(before) {
    while (this.times[0] < before) this.times.shift();
    for (const byLabels of this.#series.values()) {
      for (const [key, { times, values }] of byLabels) {
        while (times[0] < before) {
          times.shift();
          values.shift();
        }
        if (times.length === 0) byLabels.delete(key);
      }
    }
  }

  // instant returns the value of each series of name in the scrape of that time.
  instant(name, time) {
    const vector = [];
    for (const { labels, times, values } of this.#named(name)) {
      const i = times.lastIndexOf(time);
      if (i >= 0) vector.push({ labels, value: values[i] });
    }
    return vector;
  }

  // range returns the points of each series of name that are later than from,
  // and not later than to.
  range(name, from, to) {
    const matrix = [];
    for (const { labels, times, values } of this.#named(name)) {
      let end = times.length;
      while (end > 0 && times[end - 1] > to) end--;
      let start = end;
      while (start > 0 && times[start - 1] > from) start--;
      matrix.push({ labels, times: times.slice(start, end), values: values.slice(start, end) });
    }
    return matrix;
  }

  #named(name) {
    return this.#series.get(name)?.values() ?? [];
  }
}

export function keyOf(labels) {
  return JSON.stringify(Object.entries(labels).sort());
}
