// Draws the lines of a signal, and the shares of its buckets behind them.

/* global uPlot */

import { buckets } from "./promql.js";

const height = 190;
const dashes = [[], [7, 3], [2, 3], [10, 3, 2, 3]];
const linked = uPlot.sync("time");

// colour returns a colour of the style sheet, which has another one in the dark.
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// Common names keep their colours, whatever the other names are.
const fixed = { 1000: 0, 1001: 1, 1006: 2, 1005: 3, "/echo": 0, "/room": 1 };

// lineStyles returns a different style for each name.
export function lineStyles(names) {
  let next = 4;
  return names.map((name, i) => {
    const n = Object.keys(fixed).some((key) => names.includes(key)) ? (fixed[name] ?? next++) : i;
    return { colour: `line-${n < 8 ? n : 4 + (n % 4)}`, dash: dashes[Math.max(0, Math.floor(n / 4) - 1) % dashes.length] };
  });
}

// Plot is a signal's canvas in an element that it fills.
export class Plot {
  #element;
  #signal;
  #onCursor;
  #chart;
  #lines = []; // {name, style} of the lines of the chart
  #heat = []; // the buckets at each time

  constructor(element, signal, onCursor) {
    this.#element = element;
    this.#signal = signal;
    this.#onCursor = onCursor;
    new ResizeObserver(() => this.#chart?.setSize(this.#size())).observe(element);
  }

  // show draws lines, each {name, style, values}, and heat, a vector of buckets for
  // each time, from one time to another.
  show(times, lines, heat, from, to) {
    this.#heat = heat.map(buckets);
    const data = [times, ...lines.map(({ values }) => values.map((v) => (Number.isFinite(v) ? v : null)))];
    const same = lines.length === this.#lines.length && lines.every(({ name }, i) => name === this.#lines[i].name);
    if (!this.#chart || !same) {
      this.#chart?.destroy();
      this.#lines = lines.map(({ name, style }) => ({ name, style }));
      this.#chart = new uPlot(this.#options(), data, this.#element);
    }
    this.#chart.batch(() => {
      this.#chart.setData(data, false);
      this.#chart.setScale("x", { min: from, max: to });
    });
  }

  // redraw uses the colours of the current scheme.
  redraw() {
    this.#chart?.redraw(false, true);
  }

  #size() {
    return { width: Math.max(200, this.#element.clientWidth), height };
  }

  #options() {
    const { scale, unit } = this.#signal;
    const axis = {
      stroke: () => colour("muted"),
      font: "12px system-ui, sans-serif",
      grid: { stroke: () => colour("grid"), width: 1 },
      ticks: { show: false },
    };
    return {
      ...this.#size(),
      legend: { show: false },
      padding: [8, 26, 0, 0],
      cursor: {
        sync: { key: linked.key },
        drag: { x: false, y: false },
        y: false,
        points: { size: 7 },
      },
      hooks: {
        setCursor: [(chart) => this.#onCursor(chart.cursor.idx ?? null)],
        drawAxes: [(chart) => scale && this.#drawHeat(chart)],
      },
      scales: {
        x: { time: true },
        y: scale
          ? { distr: 3, log: 10, range: [scale.low, scale.high] }
          : { range: (_, low, high) => [0, Math.max(unit.floor, (high ?? 0) * 1.1)] },
      },
      axes: [
        { ...axis, size: 26, space: 70, values: (_, splits) => splits.map(clock) },
        {
          ...axis,
          size: 62,
          space: 30,
          values: (_, splits) => splits.map((v) => (v === null ? null : unit.text(v))),
          ...(scale && { splits: () => scale.bounds, filter: sparse, grid: { ...axis.grid, filter: (_, splits) => splits } }),
        },
      ],
      series: [
        {},
        ...this.#lines.map(({ name, style }) => ({
          label: name,
          stroke: () => colour(style.colour),
          dash: style.dash,
          width: 2,
          points: { show: false },
        })),
      ],
    };
  }

  // drawHeat shades each bucket by its share of the observations.
  #drawHeat(chart) {
    const { low, high } = this.#signal.scale;
    const { ctx, bbox, data } = chart;
    const times = data[0];
    const y = (v) => chart.valToPos(Math.min(Math.max(v, low), high), "y", true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = colour("heat");
    for (let i = 1; i < times.length; i++) {
      const column = this.#heat[i];
      const total = column.at(-1)?.count;
      if (!(total > 0)) continue;
      const left = Math.round(chart.valToPos(times[i - 1], "x", true));
      const right = Math.round(chart.valToPos(times[i], "x", true));
      let below = { bound: low, count: 0 };
      for (const bucket of column) {
        const share = (bucket.count - below.count) / total;
        if (share > 0) {
          ctx.globalAlpha = 0.06 + 0.5 * Math.sqrt(Math.min(share, 1));
          ctx.fillRect(left, y(bucket.bound), right - left, y(below.bound) - y(bucket.bound));
        }
        below = bucket;
      }
    }
    ctx.restore();
  }
}

// sparse leaves out every other bound where there are many.
function sparse(_, splits) {
  return splits.length < 8 ? splits : splits.map((v, i) => (i % 2 === 0 ? v : null));
}

export function clock(time) {
  return new Date(time * 1000).toLocaleTimeString("en-GB");
}
