// The part of PromQL that the page's queries need. An expression has its text and
// computes its value, so that the page plots what it shows:
//
//   text(range)               the query, with that range
//   at(history, time, range)  its value, a list of {labels, value}
//
// A range is in seconds. Prometheus 3 computes the same values from the same
// samples.

import { keyOf } from "./history.js";

// select returns the text of what selects the series with the labels, and whether one
// has them.
function select(labels) {
  const wanted = Object.entries(labels);
  const matchers = wanted.map(([key, value]) => `${key}="${value}"`).join(",");
  return {
    matchers: matchers && `{${matchers}}`,
    match: (series) => wanted.every(([key, value]) => series.labels[key] === value),
  };
}

// metric selects the series of name with the labels.
export function metric(name, labels = {}) {
  const { matchers, match } = select(labels);
  return {
    text: () => name + matchers,
    at: (history, time) => history.instant(name, time).filter(match),
  };
}

export function rate(name, labels = {}) {
  const { matchers, match } = select(labels);
  return {
    text: (range) => `rate(${name}${matchers}[${duration(range)}])`,
    at: (history, time, range) =>
      history
        .range(name, time - range, time)
        .filter((series) => series.times.length > 1 && match(series))
        .map(({ labels, times, values }) => ({ labels, value: increase(times, values, time, range) / range })),
  };
}

// increase extrapolates the growth between the first and the last point to the whole
// range. It does not if the points begin or end well within the range, nor to a time
// before the counter was 0. A value below its predecessor is a restart from 0.
function increase(times, values, time, range) {
  const last = times.length - 1;
  let grown = values[last] - values[0];
  for (let i = 1; i <= last; i++) {
    if (values[i] < values[i - 1]) grown += values[i - 1];
  }
  const sampled = times[last] - times[0];
  const between = sampled / last;
  const near = (gap) => (gap >= 1.1 * between ? between / 2 : gap);
  let before = near(times[0] - (time - range));
  if (grown > 0) before = Math.min(before, sampled * (values[0] / grown));
  return grown * ((sampled + before + near(time - times[last])) / sampled);
}

export function sumBy(label, inner) {
  return {
    text: (range) => `sum by (${label}) (${inner.text(range)})`,
    at: (history, time, range) => {
      const sums = new Map();
      for (const { labels, value } of inner.at(history, time, range)) {
        const kept = label in labels ? { [label]: labels[label] } : {};
        const key = keyOf(kept);
        sums.set(key, { labels: kept, value: (sums.get(key)?.value ?? 0) + value });
      }
      return [...sums.values()];
    },
  };
}

// histogramQuantile takes a vector of buckets that have no label but le.
export function histogramQuantile(q, inner) {
  return {
    text: (range) => `histogram_quantile(${q}, ${inner.text(range)})`,
    at: (history, time, range) => {
      const found = buckets(inner.at(history, time, range));
      return found.length ? [{ labels: {}, value: quantile(q, found) }] : [];
    },
  };
}

// buckets sorts the buckets of a vector by their upper bound. It returns none if
// +Inf is missing.
export function buckets(vector) {
  const sorted = vector
    .filter(({ labels }) => "le" in labels)
    .map(({ labels, value }) => ({ bound: labels.le === "+Inf" ? Infinity : Number(labels.le), count: value }))
    .sort((a, b) => a.bound - b.bound);
  return sorted.at(-1)?.bound === Infinity ? sorted : [];
}

// quantile supposes that observations lie evenly in their bucket. The last bucket
// has no upper bound, and counts as its lower one.
function quantile(q, sorted) {
  const total = sorted.at(-1).count;
  if (sorted.length < 2 || !(total > 0)) return NaN;
  const rank = q * total;
  const i = sorted.findIndex(({ count }) => count >= rank);
  if (i === sorted.length - 1) return sorted[i - 1].bound;
  const below = i > 0 ? sorted[i - 1] : { bound: 0, count: 0 };
  const share = (rank - below.count) / (sorted[i].count - below.count);
  return below.bound + (sorted[i].bound - below.bound) * share;
}

function duration(seconds) {
  return seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;
}
