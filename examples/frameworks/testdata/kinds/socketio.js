// Socket.IO, both ends. The client's engine tells which packets it sends and receives.
const { WebSocket, count, perMessageDeflate, run, until } = require("./common.js");
const { Server } = require("socket.io");
const { io } = require("socket.io-client");

const types = ["CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR", "BINARY_EVENT", "BINARY_ACK"];

// kindOf is the kind of an engine's packet.
function kindOf({ type, data }) {
  if (type !== "message") return type;
  if (typeof data !== "string") return "attachment";
  const packet = types[data[0]];
  if (!packet.endsWith("EVENT")) return packet;
  const name = JSON.parse(data.slice(data.indexOf("[")))[0];
  return ["chat message", "typing", "file"].includes(name) ? name : packet;
}

run(
  (server) => {
    const all = new Server(server, { perMessageDeflate, pingInterval: 30 });
    const welcome = (socket) => {
      socket.on("chat message", (text, answer) => answer("got " + text));
      socket.on("file", (file) => socket.emit("file", { file, again: Buffer.alloc(3000) }));
      socket.onAny((event) => event === "typing" && socket.emit("unheard of", 1));
    };
    all.on("connection", welcome);
    all.of("/admin").on("connection", welcome);
    all.of("/closed").use((_, next) => next(new Error("closed")));
  },
  async (url) => {
    const root = io(url.replace("ws", "http"), { transports: ["websocket"], perMessageDeflate, forceNew: true });
    root.io.engine.on("packet", (packet) => count("received", kindOf(packet)));
    root.io.engine.on("packetCreate", (packet) => count("sent", kindOf(packet)));
    const admin = root.io.socket("/admin");
    admin.connect();
    for (const socket of [root, admin]) {
      for (const text of ["hi", "to be or not to be ".repeat(300)]) await socket.emitWithAck("chat message", text);
      socket.emit("typing");
      await new Promise((resolve) => socket.once("unheard of", resolve));
      socket.emit("file", Buffer.alloc(2000));
      await new Promise((resolve) => socket.once("file", resolve));
    }
    const closed = root.io.socket("/closed");
    closed.connect();
    await new Promise((resolve) => closed.once("connect_error", resolve));
    let pings = 0;
    root.io.engine.on("ping", () => pings++);
    await until(() => pings > 1);
    root.io.engine.off("packet");
    const { ws } = root.io.engine.transport; // still compresses and sends when the engine is closed
    admin.disconnect();
    root.disconnect();
    await until(() => ws.readyState === WebSocket.CLOSED);
  },
);
