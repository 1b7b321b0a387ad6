// An echo server as users of Node's ws write it, which also closes and pings
// when it is told to.
const { WebSocketServer } = require('ws');
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: true }, () => {
	console.log(server.address().port);
});
server.on('connection', (ws) => {
	ws.on('error', () => {});
	ws.on('message', (data, isBinary) => {
		const text = isBinary ? '' : data.toString();
		const close = /^close (\d+)$/.exec(text);
		if (close) {
			ws.close(Number(close[1]), 'as asked');
		} else if (text === 'ping') {
			ws.ping('are you there');
		} else {
			ws.send(data, { binary: isBinary });
		}
	});
});
