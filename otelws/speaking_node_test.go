package otelws_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// nodePeer is a script: a client if it gets a URL, or else a server.
const nodePeer = `
	const {WebSocket, WebSocketServer} = require('ws');
	const seen = {messages: 0, pings: 0, pongs: 0, unasked: 0, code: 0, error: ''};
	let ready = false;

	function watch(ws) {
		const look = () => {
			if (ready || !seen.messages || seen.pings < 2 || !seen.pongs) return;
			ready = true;
			console.log('ready');
		};
		ws.on('ping', () => { seen.pings++; look(); });
		ws.on('pong', (data) => { data.toString() === 'mine' ? seen.pongs++ : seen.unasked++; look(); });
		ws.on('message', () => { seen.messages++; look(); });
		ws.on('error', (error) => seen.error = error.message);
		ws.on('close', (code) => {
			seen.code = code;
			console.log(JSON.stringify(seen));
			process.exit();
		});
		ws.ping('mine');
	}

	if (process.argv.length > 1) {
		const ws = new WebSocket(process.argv[1]);
		ws.on('open', () => {
			watch(ws);
			setInterval(() => { if (ws.readyState === ws.OPEN) ws.send('x'.repeat(100)); }, 20);
		});
	} else {
		const server = new WebSocketServer({port: 0, host: '127.0.0.1'});
		server.on('listening', () => console.log(server.address().port));
		server.on('connection', (ws) => {
			watch(ws);
			ws.on('message', (data) => ws.send(data));
		});
	}
`

// nodeCommand returns the command for a script of Node with the package ws. It skips
// the test if no node_modules directory is given.
func nodeCommand(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	modules := os.Getenv(nodeModules)
	if modules == "" {
		t.Skipf("needs node, and %s set to a node_modules directory that holds the package ws", nodeModules)
	}
	modules, err := filepath.Abs(modules)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{"-e", script}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	return cmd
}
