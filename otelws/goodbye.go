package otelws

import "time"

// The outcomes of a drain for one connection, in the order of drainOutcomes.
const (
	drainClosed = iota // the connection ended before the deadline
	drainCut           // the drain closed its transport
)

// told is the state of one connection in a drain.
type told uint32

const (
	notTold  told = iota
	goodbye       // the close frame has been sent
	cut           // the transport is being closed
	answered      // the peer has answered; greater values count the looks since then
)

const (
	drainTick  = 20 * time.Millisecond
	drainLooks = 5 // number of ticks between two looks
	// drainPatience is how long a drain waits for the end of a message. Then it writes the close
	// frame in the middle of the message.
	drainPatience = time.Second
	// lateLimit is how long the peer of a connection that opened during the drain may take to
	// answer.
	lateLimit = 5 * time.Second
)

// sayGoodbye sends the close frame. It works in the background, because the transport may block.
func (c *connection) sayGoodbye(cfg *drainConfig) {
	c.told.CompareAndSwap(uint32(notTold), uint32(goodbye))
	go c.Goodbye(cfg.code, cfg.reason, false)
}

// leave drains a connection that opens after the drain has begun. A dialed connection gets some
// time first, because an accepted connection may still need it.
func (c *connection) leave(cfg *drainConfig) {
	if c.isDialed() {
		for end := time.Now().Add(drainPatience); c.Signs().Open && time.Now().Before(end); {
			time.Sleep(drainTick)
		}
	}
	c.sayGoodbye(cfg)
	end := time.Now().Add(lateLimit)
	for tick := time.NewTicker(drainTick * drainLooks); ; <-tick.C {
		if !c.Signs().Open || time.Now().After(end) || c.passedOn() {
			tick.Stop()
			c.CutOff()
			return
		}
	}
}

// passedOn reports at a look whether the peer has answered, and the library has passed the answer on
// if it is a proxy's. Such a library then reads again. passedOn waits a second for a library that has
// read the answer and does not read again.
func (c *connection) passedOn() bool {
	hasAnswered, unread := c.Answered()
	if !hasAnswered {
		return false
	}
	if c.told.CompareAndSwap(uint32(goodbye), uint32(answered)) {
		return false // the Read that received the answer may still be in progress
	}
	t := c.told.Load()
	if told(t) < answered || !c.told.CompareAndSwap(t, t+1) {
		return false // it is being cut
	}
	looks := time.Duration(t - uint32(answered) + 1)
	return looks*drainLooks*drainTick >= drainPatience || unread || c.Reading()
}

func (c *connection) isDialed() bool { return c.side.role == client }

func (c *connection) isAccepted() bool { return c.side.role == server }
