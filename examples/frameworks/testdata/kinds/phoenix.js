// The client of Phoenix, with a server that knows enough of its channels for it.
const { WebSocket, perMessageDeflate, watched, run } = require("./common.js");
const { Socket } = require("phoenix");

// eventOf is the event of a message of version 2 of the serializer.
function eventOf(data, sent) {
  if (typeof data === "string") return JSON.parse(data)[3];
  if (data[0] === 1) return "phx_reply";
  const fields = data[0] === 2 ? 2 : sent ? 4 : 3;
  const sizes = [...data.subarray(1, 1 + fields)];
  const at = 1 + sizes.slice(0, -1).reduce((sum, n) => sum + n, fields);
  return data.toString("utf8", at, at + sizes.at(-1));
}

const declared = ["phx_join", "phx_leave", "phx_reply", "phx_error", "phx_close", "heartbeat", "presence_state", "presence_diff", "new_msg"];
const kindOf = (data, sent) => (declared.includes(eventOf(data, sent)) ? eventOf(data, sent) : "other");

const binary = (type, ...fields) =>
  Buffer.concat([Buffer.from([type, ...fields.map((f) => f.length)]), ...fields.map((f) => Buffer.from(f)), Buffer.alloc(600)]);

function serve(socket) {
  socket.on("message", (data, isBinary) => {
    if (isBinary) {
      socket.send(binary(2, "room:1", "new_msg"));
      socket.send(binary(0, "1", "room:1", "file"));
      const sizes = [...data.subarray(1, 5)];
      const ref = data.toString("utf8", 5 + sizes[0], 5 + sizes[0] + sizes[1]);
      const join = data.toString("utf8", 5, 5 + sizes[0]);
      socket.send(binary(1, join, ref, "room:1", "ok"));
      return;
    }
    const [join, ref, topic, event, payload] = JSON.parse(data);
    const send = (ref, event, payload) => socket.send(JSON.stringify([join, ref, topic, event, payload]));
    send(ref, "phx_reply", { status: "ok", response: {} });
    if (event === "phx_join") send(null, "presence_state", {});
    if (event === "new_msg") send(null, "new_msg", payload);
    if (event === "crash") send(join, "phx_error", {});
  });
}

run(
  (server) => new WebSocket.Server({ server, perMessageDeflate }).on("connection", serve),
  async (url) => {
    const socket = new Socket(url, { transport: watched(kindOf) });
    socket.connect();
    const channel = socket.channel("room:1");
    const ok = (push) => new Promise((resolve) => push.receive("ok", resolve));
    const lobby = socket.channel("lobby");
    await ok(channel.join());
    await ok(lobby.join());
    for (const text of ["hi", "to be or not to be ".repeat(500)]) {
      await ok(channel.push("new_msg", { text }));
      await ok(channel.push("typing", { text: "event" }));
    }
    await ok(channel.push("new_msg", new Uint8Array(1000).buffer));
    await ok(channel.push("file", new Uint8Array(1000).buffer));
    socket.sendHeartbeat(); // the client drops a connection whose heartbeat waits as long as the interval
    await ok(channel.leave());
    await ok(lobby.push("typing", { text: "after the reply to the leave" }));
    await new Promise((resolve) => socket.disconnect(resolve));
  },
);
