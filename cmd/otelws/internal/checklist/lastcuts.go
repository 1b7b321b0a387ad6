package checklist

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/otelws/otelws-go/cmd/otelws/internal/hops"
	"github.com/otelws/otelws-go/cmd/otelws/internal/live"
	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// ring is the number of closed connections that a server remembers.
const ring = 256

// cut is a connection that the peer's side ended with 1006. Times are in seconds.
type cut struct{ silence, age float64 }

// lastCuts reads the last closed connections from /debug/ws beside the metrics, and
// returns the cuts by the prefix of their metrics. It returns nil if there is no such
// page.
func (s *subject) lastCuts(ctx context.Context) map[string][]cut {
	source := s.Sources[len(s.Sources)-1]
	if !scrape.IsURL(source) {
		return nil
	}
	page, err := live.NewSource(source, s.Client.HTTP, s.Client.Timeout)
	if err != nil {
		return nil
	}
	answer, err := page.Get(ctx, live.Query{Sort: "age", N: ring})
	if err != nil {
		return nil
	}
	all := map[string][]cut{}
	for _, c := range answer.Closed {
		if c.Code == 1006 && c.Initiator == "peer" {
			role := map[string]string{"server": serverRole, "client": clientRole}[c.Role]
			all[role] = append(all[role], cut{c.Idle, c.Age})
		}
	}
	return all
}

// judgeLast looks for a common silence or age of the last cuts. It returns true if it
// added a finding.
func judgeLast(i *Item, last []cut, role string) bool {
	if len(last) < minObservations {
		return false
	}
	values := func(of func(cut) float64) (all []float64) {
		for _, c := range last {
			all = append(all, of(c))
		}
		return all
	}
	at, n := common(values(func(c cut) float64 { return c.silence }))
	if float64(n) >= silenceShare*float64(len(last)) {
		i.add(Warning, fmt.Sprintf("%.0f %% of the last %d connections that ended with 1006 had been silent for %s s: a hop in between probably has this limit%s",
			100*float64(n)/float64(len(last)), len(last), tenths(at), knownFor(hops.Idle, at)),
			adviceOnSilence(at), role+idleName)
		return true
	}
	if at, n = common(values(func(c cut) float64 { return c.age })); float64(n) >= ageShare*float64(len(last)) {
		i.add(Warning, fmt.Sprintf("%d of the last %d connections that ended with 1006 were %s s old, and not silent: a hop in between probably has this limit%s",
			n, len(last), tenths(at), knownFor(hops.Life, at)),
			adviceOnAge, role+durationName)
		return true
	}
	return false
}

func tenths(seconds float64) string { return number(math.Round(seconds*10) / 10) }

const adviceOnAge = "Pings do not help. Raise the limit of that hop, or close connections with 1001 before it, so that clients reconnect"

func adviceOnSilence(limit float64) string {
	return fmt.Sprintf("Ping every %s s, or raise the limit of that hop", number(hops.Heartbeat(limit)))
}

func knownFor(limits []hops.Limit, seconds float64) string {
	if known := hops.Near(limits, seconds); known != "" {
		return fmt.Sprintf(" (like %s)", known)
	}
	return ""
}

// common returns the time of at least a second that most times are close to, and how
// many they are. No hop has a shorter limit, and peers may leave at any time.
func common(times []float64) (at float64, n int) {
	times = slices.Sorted(slices.Values(times))
	for from, least := range times {
		to := from
		for to < len(times) && times[to] <= least*1.02+.05 {
			to++
		}
		if least >= 1 && to-from > n {
			at, n = times[from+(to-from)/2], to-from
		}
	}
	return at, n
}
