// What the scripts beside this one share: a server, and a client that counts the
// messages which it sends and receives, by kind.
//
// A script prints its server's port, reads the URL that the client is to dial, and
// prints the counts.

const http = require("node:http");
const readline = require("node:readline");
const WebSocket = require("ws");

// How the two ends compress: not at all, or all messages, with context takeover or
// without.
const perMessageDeflate = {
  plain: false,
  takeover: { threshold: 0 },
  alone: { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true },
}[process.env.MODE];

const counts = { sent: {}, received: {} };
const sockets = [];

const count = (direction, kind) => (counts[direction][kind] = (counts[direction][kind] ?? 0) + 1);

// watched returns a WebSocket that counts its messages. kindOf takes a string or a
// Buffer, and whether this side has sent it.
const watched = (kindOf) =>
  class extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { perMessageDeflate });
      sockets.push(this);
      this.on("message", (data, binary) => count("received", kindOf(binary ? Buffer.from(data) : data.toString(), false)));
    }
    send(data, ...more) {
      count("sent", kindOf(typeof data === "string" ? data : Buffer.from(data), true));
      super.send(data, ...more);
    }
  };

async function run(serve, client) {
  const server = http.createServer();
  await serve(server);
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  console.log(server.address().port);
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  await client((await lines.next()).value);
  await until(() => sockets.every(({ readyState }) => readyState === WebSocket.CLOSED));
  console.log(JSON.stringify(counts));
  await lines.next(); // wait until the test has read the counts
  process.exit(0);
}

const until = (ok) =>
  new Promise((resolve) => {
    const again = () => (ok() ? resolve() : setTimeout(again, 5));
    again();
  });

module.exports = { WebSocket, perMessageDeflate, count, counts, watched, run, until };
