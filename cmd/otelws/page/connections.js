// The page's own connections.

// A browser opens about this many connections to one server, and queues the rest.
export const most = 200;

const enough = 1 << 20; // bytes that a connection may have waiting to be sent

export class Connections {
  #open = new Set(); // {socket, id, path, opened, longest}, the oldest first
  #limits; // bytes of a message, by path
  #said; // takes an event
  #due = 0; // messages that the rate asks for by now

  sent = 0;
  received = 0;

  constructor(limits, said) {
    this.#limits = limits;
    this.#said = said;
  }

  count(path) {
    return [...this.#open].filter((c) => c.opened && c.path === path).length;
  }

  open(path, n) {
    const room = Math.min(n, most - this.#open.size);
    for (let i = 0; i < room; i++) this.#dial(path);
    if (room < n) this.#said(`This page opens ${most} connections at most`);
  }

  #dial(path) {
    const id = crypto.getRandomValues(new Uint32Array(2)).join("-");
    const url = new URL(`${path}?id=${id}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const c = { socket: new WebSocket(url), id, path, opened: false, longest: 0 };
    this.#open.add(c);
    c.socket.binaryType = "arraybuffer";
    c.socket.addEventListener("open", () => {
      c.opened = true;
      this.#said(`Opened on ${path}`);
    });
    c.socket.addEventListener("message", () => this.received++);
    c.socket.addEventListener("close", ({ code, reason }) => {
      this.#open.delete(c);
      if (!c.opened) this.#said(`Failed to open on ${path}`);
      else this.#said(`Closed on ${path} with ${code}${reason && `, ${reason}`}${this.#tooLong(c, code)}`);
    });
  }

  // The server answers a message that is too long with 1009 and closes. It leaves the
  // rest of the message unread, so TCP sends a reset, which can overtake the frame.
  #tooLong({ path, longest }, code) {
    if (code !== 1006 || longest <= this.#limits[path]) return "";
    return " (the server counted 1009: the message was too long, and a reset overtook the close frame)";
  }

  // send sends a message on each connection.
  send(size, binary) {
    this.#send([...this.#open], message(size, binary));
  }

  #send(connections, payload) {
    for (const c of connections) {
      if (c.socket.readyState !== WebSocket.OPEN || c.socket.bufferedAmount > enough) continue;
      c.socket.send(payload);
      c.longest = Math.max(c.longest, payload.length);
      this.sent++;
    }
  }

  // keepSending sends the messages that are due after seconds. The rate is messages a
  // second for each connection.
  keepSending(seconds, rate, size, binary) {
    const connections = [...this.#open].filter((c) => c.opened);
    this.#due = Math.min(this.#due + seconds * rate, Math.max(1, rate));
    if (this.#due < 1 || connections.length === 0) return;
    const payload = message(size, binary);
    for (; this.#due >= 1; this.#due--) this.#send(connections, payload);
  }

  // close closes the n oldest with code, or with none where it is undefined.
  close(n, code) {
    for (const { socket } of this.#oldest(n)) {
      if (code === undefined) socket.close();
      else socket.close(code);
    }
  }

  // cut asks the server to cut the n oldest.
  async cut(n) {
    const form = new URLSearchParams(this.#oldest(n).map(({ id }) => ["id", id]));
    await post("cut", form);
  }

  // vanish asks the server for a client that vanishes.
  async vanish() {
    await post("vanish");
    this.#said("A client vanished from /echo");
  }

  #oldest(n) {
    return [...this.#open].filter(({ socket }) => socket.readyState === WebSocket.OPEN).slice(0, n);
  }
}

async function post(path, body) {
  const response = await fetch(path, { method: "POST", body });
  if (!response.ok) throw new Error(await response.text());
}

let last = { size: -1 };

function message(size, binary) {
  if (last.size !== size || last.binary !== binary) {
    last = { size, binary, payload: binary ? new Uint8Array(size) : textOf(size) };
  }
  return last.payload;
}

// textOf returns a message of the kind chat, unless it would be longer than size.
function textOf(size) {
  const [begin, end] = ['{"type":"chat","text":"', '"}'];
  const padding = size - begin.length - end.length;
  return padding < 0 ? "x".repeat(size) : begin + "x".repeat(padding) + end;
}
