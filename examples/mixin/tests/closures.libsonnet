// How connections end and begin. A quiet series is either close to the threshold
// (below) or has so little traffic that a share says nothing (night). 3 a minute
// is the floor.
local values = import 'values.libsonnet';
local every = values.every, level = values.level;
{
  local stops(opened, active) = { ws_connections_opened_total: opened, ws_connections_active: active },
  WebSocketNoNewConnections: {
    severity: 'critical',
    fires: stops('0+15x70 1050x130', '100x70 15x130'),
    quiet: {
      below: stops('0+15x70 1050x130', '100x70 8x130'),
      night: stops('0+10x70 700x130', '100x200'),
      'some still come': stops('0+15x70 1050+0.25x130', '100x200'),
      'a rush of ten minutes': stops('0+15x10 150x190', '100x200'),
    },
    silentAt: ['78m', '120m'],
    firingAt: ['80m', '95m'],
  },
  WebSocketMassDisconnect: {
    severity: 'critical',
    fires: { ws_connections_active: '300x20 130 139 148x178' },
    quiet: {
      below: { ws_connections_active: '300x20 160x180' },
      night: { ws_connections_active: '180x20 85x180' },
      'they come back': { ws_connections_active: '1000x20 200 270 340 410 480 550x180' },
      'counted twice for a while': { ws_connections_active: '500x20 1000x2 480x180' },
      'one after the other': { ws_connections_active: '1000x20 1000-45x20 100x160' },
      'after a rush': { ws_connections_active: '100x30 1000x10 800x160' },
      evening: { ws_connections_active: '1000-10x90 100x100' },
    },
    silentAt: ['21m', '50m'],
    firingAt: ['22m', '34m'],
  },

  local closes(abnormal, normal) = {
    'ws_connections_closed_total{code="1000"}': every(normal),
    'ws_connections_closed_total{code="1006"}': every(abnormal / 2),
    'ws_connections_closed_total{code="1011"}': every(abnormal / 2),
  },
  // After a quarter of an hour, other numbers a minute.
  local changes(labels, before, after) = {
    ['ws_connections_closed_total{%s, code="1006"}' % labels]: '0+%gx15 %g+%gx20' % [before[0], 15 * before[0] + after[0], after[0]],
    ['ws_connections_closed_total{%s, code="1000"}' % labels]: '0+%gx15 %g+%gx20' % [before[1], 15 * before[1] + after[1], after[1]],
  },
  WebSocketAbnormalClosures: {
    fires: closes(4.5, 6),
    quiet: {
      below: closes(14, 25),
      night: closes(2.4, 0),
      'no 1006 yet': { 'ws_connections_closed_total{code="1000"}': every(100) },
      nobody: closes(0, 0),
    },
    silentAt: ['7m'],
    firingAt: ['12m', '30m'],
    also: [{
      name: 'more than usual',
      labels: [],
      series:
        changes('job="worse"', [3, 30], [4, 10])
        + changes('job="a little worse"', [6, 27], [9, 25])
        + changes('job="still good"', [0.1, 30], [5, 28]),
      fires: [{ job: 'worse' }],
    }],
  },
  WebSocketErrorBudgetFastBurn: {
    severity: 'critical',
    fires: closes(13, 3),
    quiet: {
      below: closes(14, 6),
      night: closes(11, 0),
      'not over an hour': {
        'ws_connections_closed_total{code="1000"}': '0+50x60 3000x140',
        'ws_connections_closed_total{code="1006"}': '0+50x60 3100+100x140',
      },
      'not any more': {
        'ws_connections_closed_total{code="1000"}': '0x4 0+50x190',
        'ws_connections_closed_total{code="1006"}': '0+1000x4 4050+50x190',
      },
    },
    silentAt: ['11m'],
    firingAt: ['17m', '74m'],
  },
  WebSocketErrorBudgetSlowBurn: {
    fires: closes(4.5, 6),
    quiet: {
      below: closes(14, 25),
      night: closes(2.4, 0),
      'not over a day': {
        'ws_connections_closed_total{code="1000"}': '0+1000x4 4000+12x250',
        'ws_connections_closed_total{code="1006"}': '0x4 0+12x250',
      },
      'not any more': {
        'ws_connections_closed_total{code="1000"}': '0x20 0+14x200',
        'ws_connections_closed_total{code="1006"}': '0+1000x20 20000+6x200',
      },
    },
    silentAt: ['60m'],
    firingAt: ['190m'],
  },

  local apart(bad, good, peersBad, peersGood) = {
    'ws_connections_closed_total{code="1000"}': every(good),
    'ws_connections_closed_total{code="1006"}': every(bad),
    'ws_connections_closed_total{code="1000", pod="", instance="peer-1"}': every(peersGood / 2),
    'ws_connections_closed_total{code="1000", pod="", instance="peer-2"}': every(peersGood / 2),
    'ws_connections_closed_total{code="1006", pod="", instance="peer-1"}': every(peersBad / 2),
    'ws_connections_closed_total{code="1006", pod="", instance="peer-2"}': every(peersBad / 2),
  },
  WebSocketInstanceApart: {
    peers: false,
    level: 'instance',
    extra: { signal: 'abnormal closures' },
    fires: apart(4.5, 25, 3, 97),
    quiet: {
      below: apart(9, 91, 0, 100),
      night: apart(2.4, 2, 0, 100),
      'as its peers': apart(15, 85, 5, 95),
      'without peers': closes(50, 50),
      'peers without traffic': apart(20, 80, 0, 0),
    },
    silentAt: ['17m'],
    firingAt: ['22m', '35m'],
  },

  local opens(opened, active) = {
    ws_connections_opened_total: every(opened),
    ws_connections_active: level(active),
  },
  local durations(opened, short) = opens(opened, 100000) {
    ws_connection_duration_seconds_count: every(opened),
    'ws_connection_duration_seconds_bucket{le="1.0"}': every(short),
    'ws_connection_duration_seconds_bucket{le="5.0"}': every(opened),
  },
  WebSocketChurn: {
    fires: opens(90, 5),
    quiet: {
      below: opens(120, 12),
      night: opens(48, 0),
      'two minutes by design': opens(300, 600),
      'some are short': durations(600, 240),
      'native, and some are short': opens(300, 100000) { ws_connection_duration_seconds: values.native(0, 30, 270) },
    },
    native: opens(90, 100000) { ws_connection_duration_seconds: values.native(0, 10, 4) },
    silentAt: ['11m'],
    firingAt: ['17m', '30m'],
  },
}
