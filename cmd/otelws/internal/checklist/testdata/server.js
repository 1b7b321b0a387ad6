// A WebSocket server with prom-client, sound or with the faults that its
// arguments name. It prints its two addresses.
const http = require('http');
const client = require('prom-client');
const { WebSocketServer } = require('ws');

const faults = new Set(process.argv.slice(2));
const has = (fault) => faults.has(fault);
const user = has('user') ? ['userId'] : [];
const ms = has('milliseconds');

if (has('openmetrics')) client.register.setContentType(client.Registry.OPENMETRICS_CONTENT_TYPE);
client.collectDefaultMetrics();
const active = new client.Gauge({ name: 'ws_connections_active', help: 'Open connections.' });
const opened = new client.Counter({ name: 'ws_connections_opened_total', help: 'Connections opened.', labelNames: user });
const closed = new client.Counter({ name: 'ws_connections_closed_total', help: 'Connections closed.', labelNames: ['code'] });
const bytes = new client.Histogram({
  name: 'ws_message_bytes', help: 'Sizes of messages received.',
  buckets: has('infinity') ? [0.1, 1, 10] : [64, 256, 1024, 4096, 16384, 65536, 262144],
});
const rtt = new client.Histogram({
  name: ms ? 'ws_heartbeat_rtt_ms' : 'ws_heartbeat_rtt_seconds', help: 'Time from ping to pong.',
  buckets: ms ? [5, 10, 25, 50, 100, 250, 500, 1000, 2500] : [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
});
if (!has('uninitialised')) for (const code of ['1000', '1001', '1005', '1006']) closed.inc({ code }, 0);

const serveMetrics = async (req, res) => {
  if (req.url !== '/metrics') { res.writeHead(404).end(); return; }
  res.setHeader('Content-Type', client.register.contentType);
  res.end(await client.register.metrics());
};
const server = http.createServer(has('port') ? serveMetrics : (req, res) => res.writeHead(404).end());
let number = 0;
new WebSocketServer({ server }).on('connection', (ws) => {
  active.inc();
  opened.inc(has('user') ? { userId: 'u-' + number++ } : {});
  const start = process.hrtime.bigint();
  ws.on('pong', () => {
    const nanoseconds = Number(process.hrtime.bigint() - start);
    rtt.observe(nanoseconds / (ms ? 1e6 : 1e9));
  });
  ws.ping();
  ws.on('message', (data, binary) => { bytes.observe(data.length); ws.send(data, { binary }); });
  ws.on('close', (code) => {
    closed.inc({ code: String(code) });
    if (!(has('drift') && code === 1006)) active.dec();
  });
});
server.listen(0, '127.0.0.1', () => {
  const metrics = has('port') ? server : http.createServer(serveMetrics);
  const print = () => console.log('127.0.0.1:' + server.address().port, '127.0.0.1:' + metrics.address().port);
  if (has('port')) print(); else metrics.listen(0, '127.0.0.1', print);
});
