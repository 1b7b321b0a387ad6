package otelws

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/wheel"
)

// HeartbeatOption configures a heartbeat; see [Instrumentation.Heartbeat] and [WithHeartbeat].
type HeartbeatOption interface{ applyHeartbeat(*heartbeatConfig) }

type heartbeatOptionFunc func(*heartbeatConfig)

func (f heartbeatOptionFunc) applyHeartbeat(c *heartbeatConfig) { f(c) }

type heartbeatConfig struct {
	every   time.Duration
	timeout time.Duration
	misses  int
	spared  [2]bool // index: role

	wheel    *wheel.Wheel
	releases sync.Map // *heartbeat -> func() bool, the stop function of context.AfterFunc
}

// Every sets the interval between two pings. The default is 30 seconds. Each interval varies
// randomly by up to a tenth, so that many connections do not ping at the same time.
func Every(d time.Duration) HeartbeatOption {
	return heartbeatOptionFunc(func(c *heartbeatConfig) { c.every = d })
}

// PongTimeout sets how long a ping may wait for its pong. It must not be longer than the interval
// between pings. The default is 10 seconds, or the interval if that is shorter.
func PongTimeout(d time.Duration) HeartbeatOption {
	return heartbeatOptionFunc(func(c *heartbeatConfig) { c.timeout = d })
}

// Misses sets the number of consecutive missed pings that ends a connection. The default is 2.
func Misses(n int) HeartbeatOption {
	return heartbeatOptionFunc(func(c *heartbeatConfig) { c.misses = n })
}

// AcceptedOnly restricts a heartbeat of [WithHeartbeat] to accepted connections. It is useful for a
// gateway that checks only its clients.
func AcceptedOnly() HeartbeatOption {
	return heartbeatOptionFunc(func(c *heartbeatConfig) { c.spared[client] = true })
}

// DialedOnly restricts a heartbeat of [WithHeartbeat] to dialed connections.
func DialedOnly() HeartbeatOption {
	return heartbeatOptionFunc(func(c *heartbeatConfig) { c.spared[server] = true })
}

func newHeartbeatConfig(opts []HeartbeatOption) (*heartbeatConfig, error) {
	c := &heartbeatConfig{every: 30 * time.Second, misses: 2}
	for _, o := range opts {
		if o == nil {
			return nil, errors.New("heartbeat option is nil")
		}
		o.applyHeartbeat(c)
	}
	if c.timeout == 0 {
		c.timeout = min(c.every, 10*time.Second)
	}
	switch {
	case c.every < time.Millisecond:
		return nil, fmt.Errorf("invalid heartbeat interval %v: use at least 1ms, such as 30s", c.every)
	case c.timeout < time.Millisecond || c.timeout > c.every:
		return nil, fmt.Errorf("invalid pong timeout %v: use a duration from 1ms to the heartbeat interval of %v", c.timeout, c.every)
	case c.misses < 1:
		return nil, fmt.Errorf("invalid number of heartbeat misses %d: use at least 1", c.misses)
	case c.spared[server] && c.spared[client]:
		return nil, errors.New("a heartbeat cannot be AcceptedOnly and DialedOnly: leave one out, or use WithHeartbeat twice")
	}
	return c, nil
}
