package otelws_test

import (
	"os/exec"
	"testing"
)

// pythonPeer is a script: a client if it gets a URL, or else a server. The library
// ignores unasked pongs, so the script finds them in the library's log.
const pythonPeer = `
import asyncio, json, logging, sys, websockets

PING, PONG = 9, 10
seen = {"messages": 0, "pings": 0, "pongs": 0, "unasked": 0, "code": 0, "error": ""}
mine = set()
ready = False

class Frames(logging.Handler):
    def emit(self, record):
        global ready
        if record.levelno >= logging.ERROR:
            seen["error"] = record.getMessage()
        if record.msg not in ("< %s", "> %s"):
            return
        frame = record.args[0]
        if record.msg == "> %s":
            if frame.opcode == PING:
                mine.add(bytes(frame.data))
        elif frame.opcode == PING:
            seen["pings"] += 1
        elif frame.opcode == PONG:
            seen["pongs" if bytes(frame.data) in mine else "unasked"] += 1
        elif frame.opcode in (1, 2):
            seen["messages"] += 1
        if not ready and seen["messages"] and seen["pings"] >= 2 and seen["pongs"]:
            ready = True
            print("ready", flush=True)

logger = logging.getLogger("peer")
logger.propagate = False
logger.setLevel(logging.DEBUG)
logger.addHandler(Frames())

async def client(url):
    async with websockets.connect(url, logger=logger) as ws:
        await ws.ping()
        try:
            while True:
                await ws.send("x" * 100)
                await ws.recv()
                await asyncio.sleep(0.02)
        except websockets.ConnectionClosed:
            pass
        await ws.wait_closed()
        seen["code"] = ws.close_code

async def server():
    over = asyncio.Event()
    async def handle(ws):
        try:
            await ws.ping()
            async for message in ws:
                await ws.send(message)
        except websockets.ConnectionClosed:
            pass
        await ws.wait_closed()
        seen["code"] = ws.close_code
        over.set()
    async with websockets.serve(handle, "127.0.0.1", 0, logger=logger) as s:
        print(s.sockets[0].getsockname()[1], flush=True)
        await over.wait()

asyncio.run(client(sys.argv[1]) if len(sys.argv) > 1 else server())
print(json.dumps(seen), flush=True)
`

// pythonCommand returns the command for a script of Python with the package websockets.
// It skips the test if there is no such package.
func pythonCommand(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	const python = "/usr/bin/python3" // the system's Python has the system's packages
	if err := exec.CommandContext(t.Context(), python, "-c", "import websockets").Run(); err != nil {
		t.Skip("needs python3 with the package websockets: ", err)
	}
	return exec.CommandContext(t.Context(), python, append([]string{"-c", script}, args...)...)
}
