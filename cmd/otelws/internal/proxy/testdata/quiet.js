// An echo server of Node's ws that pings nobody, and prints the pongs and close
// codes that reach it.
const { WebSocketServer } = require('ws');
const server = new WebSocketServer({ host: '127.0.0.1', port: 0 }, () => {
	console.log(server.address().port);
});
server.on('connection', (ws) => {
	ws.on('error', () => {});
	ws.on('message', (data, binary) => ws.send(data, { binary }));
	ws.on('pong', () => console.log('pong'));
	ws.on('close', (code) => console.log('close ' + code));
});
