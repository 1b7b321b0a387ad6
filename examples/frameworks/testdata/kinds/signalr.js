// @microsoft/signalr, with a hub that knows enough for it.
const { WebSocket, perMessageDeflate, watched, run, until } = require("./common.js");
const signalR = require("@microsoft/signalr");

const types = [
  "", "Invocation", "StreamItem", "Completion", "StreamInvocation", "CancelInvocation", "Ping", "Close", "Ack", "Sequence",
];

function kindOf(data) {
  const message = JSON.parse(data.split("\x1e")[0]);
  if (message.protocol) return "HandshakeRequest";
  return message.type ? types[message.type] : "HandshakeResponse";
}

function serve(socket) {
  const send = (message) => socket.send(JSON.stringify(message) + "\x1e");
  socket.on("message", (data) => {
    for (const text of data.toString().split("\x1e").slice(0, -1)) {
      const { type, protocol, invocationId, target, arguments: args } = JSON.parse(text);
      if (protocol) send({});
      if (type === 1 && target === "echo") send({ invocationId, result: args[0], type: 3 });
      if (type === 1 && target === "tell") send({ target: "told", arguments: [args[0]], type: 1 });
      if (type === 1 && target === "leave") send({ type: 7 });
      if (type === 4) for (let i = 0; i < 5; i++) send({ type: 2, invocationId, item: "x".repeat(i * 300) });
      if (type === 4 && target === "finite") send({ type: 3, invocationId });
      if (type === 6) send({ type: 6 });
    }
  });
}

run(
  (server) => new WebSocket.Server({ server, perMessageDeflate }).on("connection", serve),
  async (url) => {
    const hub = new signalR.HubConnectionBuilder()
      .withUrl(url.replace("ws", "http"), {
        transport: signalR.HttpTransportType.WebSockets, skipNegotiation: true, WebSocket: watched(kindOf),
      })
      .configureLogging(signalR.LogLevel.None)
      .build();
    let told = 0;
    hub.on("told", () => told++);
    await hub.start();
    for (const text of ["hi", "to be or not to be ".repeat(500)]) await hub.invoke("echo", text);
    await hub.send("tell", "all");
    await until(() => told === 1);
    const items = (target, n) =>
      new Promise((resolve) => {
        let got = 0;
        const stream = hub.stream(target).subscribe({ next: () => ++got === n && (stream.dispose(), resolve()), complete: resolve, error: resolve });
      });
    await items("finite", 100);
    await items("endless", 5);
    const left = new Promise((resolve) => hub.onclose(resolve));
    await hub.send("leave");
    await left;
  },
);
