package probe

import (
	"fmt"
	"math"
	"slices"

	"github.com/otelws/otelws-go/cmd/otelws/internal/hops"
)

// judge derives the limits, the heartbeat and the notes from the outcomes.
func (r *Result) judge() {
	if some := r.unwanted(); len(some) > 0 {
		r.note("The server ended %d connections at once, %s. It may allow only some connections of a client", len(some), some[0].ending())
		for _, o := range some {
			o.cut = true
		}
	}
	r.events()
	silent := r.of(Silent)
	for _, o := range silent {
		// A connection that an event ended had outlived its silence until then.
		r.Outlived = max(r.Outlived, o.Outlived)
		if o.cut || o.open() {
			r.Outlived = max(r.Outlived, o.Silence)
		}
		r.Unasked += o.Unasked
	}
	for _, o := range r.Outcomes {
		if o.End != Refused && !o.Mute {
			r.Answers = true
		}
	}
	idle := r.idle(silent)
	life, later := r.life(idle)
	if life != nil && idle != nil && idle.within(life.Seconds) {
		idle = nil // the silent connections ended by the limit on age
	}
	for _, l := range []*Limit{idle, later, life} {
		if l != nil {
			r.complete(l)
			r.Limits = append(r.Limits, l)
		}
	}
	r.Reached = r.reached(life)
	r.Heartbeat = r.heartbeat()
	r.notes(idle)
}

// of returns the outcomes of the given kinds whose handshake succeeded.
func (r *Result) of(kinds ...Kind) (some []*Outcome) {
	for i := range r.Outcomes {
		if o := &r.Outcomes[i]; slices.Contains(kinds, o.Kind) && o.End != Refused {
			some = append(some, o)
		}
	}
	return some
}

func died(some []*Outcome) (dead []*Outcome) {
	for _, o := range some {
		if o.died() {
			dead = append(dead, o)
		}
	}
	return dead
}

// atOnce is the age, in seconds, below which an end shows no limit: the server does
// not want the connection.
const atOnce = .5

// unwanted returns the connections that the server ended at once, before there was any
// traffic but the first ping.
func (r *Result) unwanted() (some []*Outcome) {
	for i := range r.Outcomes {
		if o := &r.Outcomes[i]; o.died() && o.End != Nothing && !o.Asked && o.Age < min(atOnce, .9*r.Every) {
			some = append(some, o)
		}
	}
	return some
}

// events finds connections of different age that ended at the same moment, for
// example when a server restarts. They do not show a limit.
func (r *Result) events() {
	at := func(o *Outcome) float64 { return o.Start + o.Age }
	var moments []float64
	for _, k := range append([]Kind{Silent}, busy...) {
		var first, twin *Outcome
		for _, o := range died(r.of(k)) {
			switch {
			case o.Asked || o.End == Nothing || o.Kind == Silent && o.Planned < r.Max:
			case o.twin:
				twin = o
			default:
				first = o
			}
		}
		if first == nil || twin == nil {
			continue
		}
		if apart := math.Abs(first.Age - twin.Age); apart > .3 && math.Abs(at(first)-at(twin)) < apart/4 {
			moments = append(moments, at(first))
		}
	}
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		if o.died() && slices.ContainsFunc(moments, func(m float64) bool { return math.Abs(at(o)-m) < .3 }) {
			o.cut = true
			r.Disturbed++
		}
	}
}

// idle returns the limit on silence that the silent connections show, or nil.
func (r *Result) idle(silent []*Outcome) *Limit {
	var ended, dead []*Outcome
	for _, o := range died(silent) {
		if o.Asked {
			dead = append(dead, o)
		} else {
			ended = append(ended, o)
		}
	}
	if l := limitOf(OnSilence, ended, silence); l != nil {
		if l.exceededBy(r.Outlived) {
			r.note("%d of the silent connections ended after %s, but others were silent for longer. This may be chance, or connections took different ways to the server. Run it again", l.Connections, l)
			return nil
		}
		return l
	}
	return bracket(r.Outlived, dead)
}

// life returns the limit on age, which the busy connections show. If messages keep a
// connection open and pings do not, the limit of the pings is a second limit on
// silence: later.
func (r *Result) life(idle *Limit) (life, later *Limit) {
	pings, messages := died(r.of(Ping)), died(r.of(Message))
	l := limitOf(OnAge, pings, age)
	switch {
	case l == nil:
		return nil, nil
	case slices.ContainsFunc(r.of(Ping), func(o *Outcome) bool { return !o.cut && l.exceededBy(o.Age) }):
		r.note("%d of %d connections with pings ended at the age of %s, but others did not. This may be chance, or connections took different ways to the server. Run it again", l.Connections, len(r.of(Ping)), l)
		return nil, nil
	case idle != nil && r.Every > idle.Least*.9:
		return nil, nil // the pings were too rare: the limit on silence applied between them
	case len(r.of(Message)) == 0 || r.refused():
		if idle != nil && idle.within(l.Seconds) {
			r.note("The run cannot tell a limit on age from a hop that counts only messages. Give messages that the server accepts by --message")
			return nil, nil
		}
		return l, nil
	case len(messages) > 0:
		life = limitOf(OnAge, messages, age)
		if life == nil || life.Seen == Nothing || near(life.Seconds, l.Seconds) {
			return l, nil
		}
	}
	if idle == nil || !idle.within(l.Seconds) {
		later = l
		later.On = OnSilence
	}
	return life, later
}

// refused reports whether the server closes a connection because of the first
// message.
func (r *Result) refused() bool {
	early := func(o *Outcome) bool { return o.Age < 2*r.Every+.5 }
	messages := died(r.of(Message))
	return len(messages) > 0 && !slices.ContainsFunc(messages, func(o *Outcome) bool { return !early(o) || o.End == Nothing }) &&
		!slices.ContainsFunc(died(r.of(Ping)), early)
}

// complete adds the traffic that keeps a connection open despite a limit on silence,
// and the products that are known for the limit.
func (r *Result) complete(l *Limit) {
	if l.On == OnAge {
		l.Known = hops.Near(hops.Life, l.Seconds)
		return
	}
	l.Known = hops.Near(hops.Idle, l.Seconds)
	for _, k := range busy {
		some := r.of(k)
		if len(some) == 0 || k == Message && r.refused() || r.Every > l.Least*.9 {
			continue
		}
		outlived := func(o *Outcome) bool { return o.End != Nothing && l.exceededBy(o.Age) }
		gone := func(o *Outcome) bool { return o.died() && (l.within(o.Age) || o.End == Nothing || o.Asked) }
		switch {
		case slices.ContainsFunc(some, gone):
			l.LetsGo = append(l.LetsGo, k)
		case slices.ContainsFunc(some, outlived):
			l.Keeps = append(l.Keeps, k)
		}
	}
}

// reached returns the age up to which no limit was seen.
func (r *Result) reached(life *Limit) (seconds float64) {
	if life != nil {
		return life.Seconds
	}
	for _, o := range r.of(Ping, Message) {
		if o.End != Nothing {
			seconds = max(seconds, o.Age)
		}
	}
	return seconds
}

// heartbeat returns the heartbeat that keeps a connection open despite all limits on
// silence. It returns nil if none is needed, or none helps.
func (r *Result) heartbeat() *Heartbeat {
	var h *Heartbeat
	for _, l := range r.Limits {
		if l.On != OnSilence {
			continue
		}
		if h == nil {
			h = &Heartbeat{Seconds: math.Inf(1), Of: Ping}
		}
		h.Seconds = min(h.Seconds, hops.Heartbeat(l.Least))
		switch {
		case len(l.LetsGo)+len(l.Keeps) == 0 || slices.Contains(l.Keeps, Ping): // unknown, or pings help
		case slices.Contains(l.Keeps, Message):
			h.Of = Message
		default:
			return nil
		}
	}
	if h != nil && h.Of == Ping {
		h.Otelws = fmt.Sprintf("otelws.WithHeartbeat(otelws.Every(%s))", goDuration(h.Seconds))
		h.Proxy = fmt.Sprintf("otelws proxy --heartbeat %v", duration(h.Seconds))
	}
	return h
}

// goDuration formats seconds as Go code.
func goDuration(seconds float64) string {
	if seconds == math.Trunc(seconds) {
		return fmt.Sprintf("%.0f*time.Second", seconds)
	}
	return fmt.Sprintf("%d*time.Millisecond", duration(seconds).Milliseconds())
}

func (r *Result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// maxLateness is the lateness of timers, in seconds, that makes the ladder
// unreliable.
const maxLateness = .1

// notes adds what limits the value of the result.
func (r *Result) notes(idle *Limit) {
	if text := refusals(r.Outcomes); text != "" {
		r.note("Handshakes failed: %s", text)
	}
	if r.Late > maxLateness {
		r.note("This machine was busy: its timers were up to %s late, so all times may be wrong by that much. Run it again", short(r.Late))
	}
	if r.Disturbed > 0 {
		r.note("%d connections of different age ended at the same moment. This looks like a restart, not a limit. Run it again", r.Disturbed)
	}
	if !r.Answers {
		r.note("The server answers no pings. Without answers, this run cannot find a hop that drops connections silently")
	}
	if r.Unasked > 0 && r.Outlived < r.Max*.9 && idle == nil {
		r.note("The server itself sends data, so no connection was silent for longer than %s. This run cannot find a longer limit on silence, but such a limit does not affect these connections", short(r.Outlived))
	}
	if r.refused() {
		m := died(r.of(Message))[0]
		r.note("The server ended a connection after the message, %s. Give a message that it accepts by --message", m.ending())
	}
	for _, l := range r.Limits {
		if l.On == OnSilence && r.Every > l.Least*.9 {
			r.note("--every %v is too long to find out which traffic keeps a connection open for longer than %s", duration(r.Every), short(l.Least))
		}
	}
}
