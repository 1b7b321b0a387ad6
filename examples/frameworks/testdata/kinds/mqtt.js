// MQTT.js, and the broker aedes behind the stream of ws.
const { WebSocket, perMessageDeflate, counts, watched, run, until } = require("./common.js");
const { Aedes } = require("aedes");
const mqtt = require("mqtt");

const types = [
  "", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
  "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
];

run(
  async (server) => {
    const broker = await Aedes.createBroker();
    new WebSocket.Server({ server, perMessageDeflate, handleProtocols: () => "mqtt" }).on("connection", (socket) =>
      broker.handle(WebSocket.createWebSocketStream(socket)),
    );
  },
  async (url) => {
    // Both sides split packets into several messages. A message has the kind of the packet
    // that begins in it. It has no kind if it only continues a packet.
    const left = { true: 0, false: 0 };
    const pending = { true: [], false: [] };
    const kindOf = (data, sent) => {
      const begins = pending[sent].length === 0 && left[sent] === 0;
      const kind = begins ? types[data[0] >> 4] : "none";
      if (left[sent] > 0) {
        left[sent] -= data.length;
        return kind;
      }
      pending[sent].push(...data);
      const length = pending[sent].findIndex((byte, i) => i > 0 && byte < 128);
      if (length < 0) return kind;
      const size = pending[sent].slice(1, length + 1).reduce((sum, byte, i) => sum + (byte & 127) * 128 ** i, 0);
      left[sent] = size - (pending[sent].length - length - 1);
      pending[sent] = [];
      if (left[sent] < 0) throw new Error("a message has more than a packet");
      return kind;
    };
    const Watched = watched(kindOf);
    let sent = 1, received = 0; // the client does not report its CONNECT
    const client = mqtt.connect(url, {
      createWebsocket: (url, protocols) => new Watched(url, protocols),
      forceNativeWebSocket: false, keepalive: 1, reconnectPeriod: 0,
    });
    client.on("packetsend", () => sent++);
    client.on("packetreceive", () => received++);
    await new Promise((resolve) => client.once("connect", resolve));
    await client.subscribeAsync("room/#", { qos: 2 });
    let got = 0;
    client.on("message", () => got++);
    for (const qos of [0, 1, 2]) {
      for (const body of ["hi", "to be or not to be ".repeat(500)]) await client.publishAsync("room/1", body, { qos });
    }
    await until(() => got === 6);
    await client.unsubscribeAsync("room/#");
    await new Promise((resolve) => client.on("packetreceive", ({ cmd }) => cmd === "pingresp" && resolve()));
    await client.endAsync();
    const packets = (kinds) => Object.entries(kinds).reduce((sum, [kind, n]) => sum + (kind === "none" ? 0 : n), 0);
    if (packets(counts.sent) !== sent || packets(counts.received) !== received) {
      throw new Error(`the client has sent ${sent} packets and received ${received}: ${JSON.stringify(counts)}`);
    }
  },
);
