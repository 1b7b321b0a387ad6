// The application in Node: the package ws, and with METRICS=1 the metrics by
// hand on prom-client. It speaks the protocol of package process on its
// standard input and output.
'use strict';
const http = require('node:http');
const readline = require('node:readline');
const { WebSocketServer } = require('ws');

const heartbeat = Number(process.env.HEARTBEAT_MS || 0);
const metrics = process.env.METRICS === '1' ? instruments(require('prom-client')) : null;

function instruments(client) {
  const register = new client.Registry();
  client.collectDefaultMetrics({ register });
  const registers = [register];
  return {
    register,
    active: new client.Gauge({ registers, name: 'ws_connections_active', help: 'Open WebSocket connections.' }),
    opened: new client.Counter({ registers, name: 'ws_connections_opened_total', help: 'WebSocket connections opened.' }),
    closed: new client.Counter({
      registers, name: 'ws_connections_closed_total', help: 'WebSocket connections closed, by close code.', labelNames: ['code'],
    }),
    messages: new client.Histogram({
      registers, name: 'ws_message_bytes', help: 'Payload size of received messages.',
      buckets: [64, 256, 1024, 4096, 16384, 65536, 262144],
    }),
    rtt: new client.Histogram({
      registers, name: 'ws_heartbeat_rtt_seconds', help: 'Time from a ping to its pong.',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    }),
  };
}

function watch(ws) {
  metrics.opened.inc();
  metrics.active.inc();
  ws.on('close', (code) => {
    metrics.active.dec();
    metrics.closed.inc({ code: String(code) });
  });
  ws.on('message', (data) => metrics.messages.observe(data.length));
}

function ping(ws) {
  let sent;
  ws.on('pong', () => metrics?.rtt.observe(Number(process.hrtime.bigint() - sent) / 1e9));
  const timer = setInterval(() => {
    sent = process.hrtime.bigint();
    ws.ping();
  }, heartbeat);
  timer.unref();
  ws.on('close', () => clearInterval(timer));
}

const room = new Set();

function enter(ws) {
  room.add(ws);
  ws.on('close', () => room.delete(ws));
  ws.on('message', (data, binary) => {
    for (const member of room) member.send(data, { binary });
  });
}

const server = http.createServer();
const wss = new WebSocketServer({ server });
wss.on('connection', (ws, request) => {
  ws.on('error', () => {});
  if (metrics) watch(ws);
  if (heartbeat > 0) ping(ws);
  if (request.url === '/room') enter(ws);
  else ws.on('message', (data, binary) => ws.send(data, { binary }));
});

const scrapes = http.createServer(async (request, response) => {
  if (!metrics || request.url !== '/metrics') {
    response.writeHead(404).end();
    return;
  }
  const body = await metrics.register.metrics();
  response.writeHead(200, { 'Content-Type': metrics.register.contentType }).end(body);
});

function usage() {
  const cpu = process.cpuUsage();
  const memory = process.memoryUsage();
  return { cpu_ns: (cpu.user + cpu.system) * 1000, heap_bytes: memory.heapUsed + memory.external };
}

const commands = {
  usage,
  gc() {
    global.gc();
    global.gc();
    return usage();
  },
};

const say = (value) => process.stdout.write(JSON.stringify(value) + '\n');
const version = (name) => require(name + '/package.json').version;

process.on('SIGINT', () => {}); // the parent process decides when to end
scrapes.listen(0, '127.0.0.1', () => server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  const versions = { node: process.version, ws: version('ws') };
  if (metrics) versions['prom-client'] = version('prom-client');
  say({
    address: '127.0.0.1:' + server.address().port,
    metrics: metrics ? 'http://127.0.0.1:' + scrapes.address().port + '/metrics' : '',
    versions,
  });
  readline.createInterface({ input: process.stdin })
    .on('line', (line) => say(commands[line]()))
    .on('close', () => process.exit(0));
}));
