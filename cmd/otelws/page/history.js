// The scrapes of the last minutes, stored as Prometheus stores them.

// History holds the points of every series for keep seconds.
export class History {
  #keep;
  #series = new Map(); // by name, and then by labels: {labels, times, values}

  constructor(keep) {
    this.#keep = keep;
    this.times = []; // of all scrapes, the failed ones too, in seconds
  }

  // add stores a scrape. A failed scrape has no samples: then, as in Prometheus,
  // every series is stale.
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
      const i = countUntil(times, time) - 1;
      if (times[i] === time) vector.push({ labels, value: values[i] });
    }
    return vector;
  }

  // range returns the points of each series of name that are later than from,
  // and not later than to.
  range(name, from, to) {
    const matrix = [];
    for (const { labels, times, values } of this.#named(name)) {
      const start = countUntil(times, from);
      const end = countUntil(times, to);
      matrix.push({ labels, times: times.slice(start, end), values: values.slice(start, end) });
    }
    return matrix;
  }

  #named(name) {
    return this.#series.get(name)?.values() ?? [];
  }
}

// countUntil is the number of sorted times that are not later than time.
function countUntil(times, time) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function keyOf(labels) {
  return JSON.stringify(Object.entries(labels).sort());
}
