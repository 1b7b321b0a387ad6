package probe

import (
	"fmt"
	"math"
	"slices"

	"github.com/otelws/otelws-go/cmd/otelws/internal/hops"
)

// judge draws the conclusions from the outcomes.
func (r *Result) judge() {
	r.events()
	silent := r.of(Silent)
	for _, o := range silent {
		// What ends in an event has outlived its silence until then.
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
		idle = nil // the silent ones ended at that age as well
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

// of returns the outcomes of a kind whose handshake succeeded.
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

// events finds connections that ended at the same moment though they were not of
// the same age, as when a server restarts. They show no limit.
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

// idle is the limit on silence that the silent connections show.
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
		if l.under(r.Outlived) {
			r.note("%d of the silent connections ended after %s, and others were silent for longer: by chance, or on another way to the server. Run it again", l.Connections, l)
			return nil
		}
		return l
	}
	return bracket(r.Outlived, dead)
}

// life is the limit on the age of connections, which shows where something passes
// all the time. Another limit on silence shows where messages keep a connection and
// pings do not.
func (r *Result) life(idle *Limit) (life, later *Limit) {
	pings, messages := died(r.of(Ping)), died(r.of(Message))
	l := limitOf(OnAge, pings, age)
	switch {
	case l == nil:
		return nil, nil
	case slices.ContainsFunc(r.of(Ping), func(o *Outcome) bool { return !o.cut && l.under(o.Age) }):
		r.note("%d of %d connections with pings ended at the age of %s, and others did not: by chance, or on another way to the server. Run it again", l.Connections, len(r.of(Ping)), l)
		return nil, nil
	case idle != nil && r.Every > idle.Least*.9:
		return nil, nil // they were silent for as long
	case len(r.of(Message)) == 0 || r.refused():
		if idle != nil && idle.within(l.Seconds) {
			r.note("Whether messages keep a connection, as pings do not, or whether it is a limit on age, only messages would tell")
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

// refused says that the server ends a connection at the first message, and pings
// do not have that.
func (r *Result) refused() bool {
	early := func(o *Outcome) bool { return o.Age < 2*r.Every+.5 }
	messages := died(r.of(Message))
	return len(messages) > 0 && !slices.ContainsFunc(messages, func(o *Outcome) bool { return !early(o) || o.End == Nothing }) &&
		!slices.ContainsFunc(died(r.of(Ping)), early)
}

// complete says of a limit on silence what keeps a connection, and of each limit
// what is known to have it.
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
		outlived := func(o *Outcome) bool { return o.End != Nothing && l.under(o.Age) }
		gone := func(o *Outcome) bool { return o.died() && (l.within(o.Age) || o.End == Nothing || o.Asked) }
		switch {
		case slices.ContainsFunc(some, gone):
			l.LetsGo = append(l.LetsGo, k)
		case slices.ContainsFunc(some, outlived):
			l.Keeps = append(l.Keeps, k)
		}
	}
}

// reached is the age up to which no limit was seen.
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

// heartbeat is the one that keeps a connection through all limits on silence.
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
		case len(l.LetsGo)+len(l.Keeps) == 0 || slices.Contains(l.Keeps, Ping): // nobody can tell, or pings do
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

// goDuration writes seconds as Go code.
func goDuration(seconds float64) string {
	if seconds == math.Trunc(seconds) {
		return fmt.Sprintf("%.0f*time.Second", seconds)
	}
	return fmt.Sprintf("%d*time.Millisecond", duration(seconds).Milliseconds())
}

func (r *Result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// tooLate is a lateness that blurs the steps of the ladder.
const tooLate = .1

// notes says what kept the run from telling more.
func (r *Result) notes(idle *Limit) {
	if text := refusals(r.Outcomes); text != "" {
		r.note("Handshakes failed: %s", text)
	}
	if r.Late > tooLate {
		r.note("This machine was busy: its timers were up to %s late, and all times are as uncertain. Run it again", short(r.Late))
	}
	if r.Disturbed > 0 {
		r.note("%d connections ended at one moment, whatever their age: a restart, and no limit. Run it again", r.Disturbed)
	}
	if !r.Answers {
		r.note("The server answers no ping. A hop that drops connections and tells nobody does not show")
	}
	if r.Unasked > 0 && r.Outlived < r.Max*.9 && idle == nil {
		r.note("The server sends by itself, so that no connection was silent for longer than %s. A limit above that does not show, nor does it matter", short(r.Outlived))
	}
	if r.refused() {
		m := died(r.of(Message))[0]
		r.note("The server ends a connection after the message, %s. Give one that it takes by --message", by(m.End, m.Code, m.Reason))
	}
	for _, l := range r.Limits {
		if l.On == OnSilence && r.Every > l.Least*.9 {
			r.note("--every %v is too long to tell what keeps a connection for longer than %s", duration(r.Every), short(l.Least))
		}
	}
}
