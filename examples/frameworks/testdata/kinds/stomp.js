// @stomp/stompjs, with a broker that knows enough for it.
const { WebSocket, perMessageDeflate, watched, run, until } = require("./common.js");
const { Client } = require("@stomp/stompjs");

function serve(socket) {
  const send = (command, headers, body = "") =>
    socket.send(command + "\n" + Object.entries(headers).map(([k, v]) => `${k}:${v}\n`).join("") + "\n" + body + "\0");
  const subscriptions = {};
  const beat = setInterval(() => socket.send("\n"), 20);
  socket.on("close", () => clearInterval(beat));
  socket.on("message", (data) => {
    const frame = data.toString();
    const [head, body] = [frame.slice(0, frame.indexOf("\n\n")), frame.slice(frame.indexOf("\n\n") + 2, -1)];
    const [command, ...lines] = head.split("\n");
    const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]));
    if (command === "CONNECT") send("CONNECTED", { version: "1.2", "heart-beat": "20,20" });
    if (command === "SUBSCRIBE") subscriptions[headers.destination] = headers.id;
    if (command === "SEND" && headers.destination === "/error") send("ERROR", { message: "no" });
    if (command === "SEND" && subscriptions[headers.destination]) {
      send("MESSAGE", { subscription: subscriptions[headers.destination], destination: headers.destination, "message-id": 1, ack: 7 }, body);
    }
    if (headers.receipt) send("RECEIPT", { "receipt-id": headers.receipt });
  });
}

run(
  (server) => new WebSocket.Server({ server, perMessageDeflate, handleProtocols: () => "v12.stomp" }).on("connection", serve),
  async (url) => {
    let beats = 0;
    const Watched = watched((data) => {
      if (data === "\n") beats++;
      return data === "\n" ? "heart-beat" : data.slice(0, data.indexOf("\n"));
    });
    let got = 0;
    const client = new Client({
      webSocketFactory: () => new Watched(url, ["v12.stomp"]),
      heartbeatIncoming: 0, heartbeatOutgoing: 20, reconnectDelay: 0,
    });
    await new Promise((resolve) => {
      client.onConnect = resolve;
      client.activate();
    });
    const subscription = client.subscribe("/room", (message) => (got++, message.ack()), { ack: "client" });
    for (const body of ["hi", "to be or not to be ".repeat(500)]) client.publish({ destination: "/room", body });
    await until(() => got === 2);
    const t = client.begin();
    client.publish({ destination: "/other", body: "x", headers: { transaction: t.id } });
    t.commit();
    client.begin().abort();
    subscription.unsubscribe();
    client.publish({ destination: "/error", body: "x" });
    await new Promise((resolve) => (client.onStompError = resolve));
    await until(() => beats > 4);
    await client.deactivate();
  },
);
