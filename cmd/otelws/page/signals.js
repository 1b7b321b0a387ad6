// The signals: their queries, and how to write their values.

import { histogramQuantile, metric, rate, sumBy } from "./promql.js";

export const perSecond = { text: (v) => `${significant(v)}/s`, floor: 0.1 };
const count = { text: (v) => significant(v), floor: 4 };

function histogram(name) {
  const inner = sumBy("le", rate(`${name}_bucket`));
  return [
    { expr: histogramQuantile(0.5, inner), name: () => "p50" },
    { expr: histogramQuantile(0.95, inner), name: () => "p95" },
    { expr: inner, buckets: true },
  ];
}

export const signals = [
  {
    id: "active",
    title: "Open connections",
    metric: "ws_connections_active",
    what: "Each holds a file descriptor and memory. If the number only climbs, connections leak.",
    unit: count,
    queries: [{ expr: sumBy("http_route", metric("ws_connections_active")), name: (labels) => labels.http_route }],
  },
  {
    id: "opened",
    title: "Connections opened",
    metric: "ws_connections_opened_total",
    what: "Arrivals a second. After a deployment a spike shows clients that come back all at once.",
    unit: perSecond,
    queries: [{ expr: sumBy("http_route", rate("ws_connections_opened_total")), name: (labels) => labels.http_route }],
  },
  {
    id: "closed",
    title: "Connections closed, by code",
    metric: "ws_connections_closed_total",
    what: "How connections end. 1006 is an end without a close frame.",
    unit: perSecond,
    queries: [{ expr: sumBy("code", rate("ws_connections_closed_total")), name: (labels) => labels.code }],
  },
  {
    id: "abnormal",
    title: "Ends with 1006, by initiator",
    metric: "ws_connection_duration_seconds",
    what: "All since the start. local: the server hung up. peer: the client’s socket closed. timeout: the client went silent.",
    unit: count,
    queries: [
      {
        expr: sumBy("initiator", metric("ws_connection_duration_seconds_count", { code: "1006" })),
        name: (labels) => labels.initiator,
      },
    ],
  },
  {
    id: "message",
    title: "Size of messages received",
    metric: "ws_message_bytes",
    what: "Half are below p50, 95 % below p95. The stronger its shade, the more messages are in a bucket.",
    unit: { text: bytes },
    scale: { low: 16, bounds: [64, 256, 1024, 4096, 16384, 65536, 262144], high: 1 << 20 },
    queries: histogram("ws_message_bytes"),
  },
  {
    id: "kinds",
    title: "Messages received, by kind",
    metric: "ws_messages_total",
    what: "The member type of a JSON message says its kind. other: not declared. none: a message without one, as on /echo.",
    unit: perSecond,
    queries: [
      {
        expr: sumBy("kind", rate("ws_messages_total", { network_io_direction: "receive" })),
        name: (labels) => labels.kind,
      },
    ],
  },
  {
    id: "heartbeat",
    title: "Round trip of heartbeats",
    metric: "ws_heartbeat_rtt_seconds",
    what: "From ping to pong. Up to 5 ms is the first bucket: a quantile below that is a guess, as on one machine.",
    unit: { text: seconds },
    scale: { low: 0.001, bounds: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5], high: 10 },
    queries: histogram("ws_heartbeat_rtt_seconds"),
  },
];

function significant(v) {
  if (v === 0 || Math.abs(v) >= 1000) return Math.round(v).toLocaleString("en");
  return String(Number(v.toPrecision(3)));
}

function bytes(v) {
  if (v >= 1 << 20) return `${significant(v / (1 << 20))} MiB`;
  if (v >= 1024) return `${significant(v / 1024)} KiB`;
  return `${significant(v)} B`;
}

function seconds(v) {
  return v < 1 ? `${significant(v * 1000)} ms` : `${significant(v)} s`;
}
