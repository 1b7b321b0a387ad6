package checklist

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// Options configures Run.
type Options struct {
	// Sources are one or two addresses or files, or "-" for standard input. Of two
	// sources, the first is the older scrape.
	Sources []string
	// Interval is the time between the two scrapes of a single address.
	Interval time.Duration
	// Idle means that the server has no connections, so the gauge must be 0.
	Idle bool
	// WebSocket is the address of the WebSockets, or "" if it is unknown.
	WebSocket string
	// Client scrapes the addresses.
	Client *scrape.Client
}

// subject holds the scrapes that the items check.
type subject struct {
	Options
	before *scrape.Scrape // nil if there is only one
	now    *scrape.Scrape
	roles  []string // the prefixes of the metrics' names: ws_, ws_client_
	dotted []string // names with dots, before escapeDots
}

// items is the checklist, in the order of the output.
var items = []struct {
	name string
	asks string
	run  func(context.Context, *subject, *Item)
}{
	{"scrape", "does the endpoint answer as Prometheus expects?", checkScrape},
	{"series", "are the expected metrics there, with their types?", checkSeries},
	{"runtime", "are file descriptors left for more connections?", checkRuntime},
	{"conservation", "is opened = active + closed, in every label set?", checkConservation},
	{"idle", "with --idle: is the gauge at 0?", checkIdle},
	{"counters", "did no counter go backwards between two scrapes?", checkCounters},
	{"labels", "is every label bounded: no users, addresses, UUIDs?", checkLabels},
	{"buckets", "do the buckets distinguish the observations?", checkBuckets},
	{"units", "are times plausible as seconds?", checkUnits},
	{"names", "do names follow the Prometheus conventions?", checkNames},
	{"silence", "do ends with 1006 show no limit on silence or age?", checkSilence},
	{"exposure", "do the metrics have a port of their own, and a private address?", checkExposure},
}

// Help returns a line for each item with the question that it answers.
func Help() string {
	var b strings.Builder
	for _, i := range items {
		fmt.Fprintf(&b, "  %-*s%s\n", itemWidth, i.name, i.asks)
	}
	return b.String()
}

// Run scrapes the sources and checks all items. It returns an error if a source
// cannot be read, or contains no WebSocket metrics.
func Run(ctx context.Context, o Options) (*Report, error) {
	s := &subject{Options: o}
	var err error
	if s.now, err = o.Client.Get(ctx, o.Sources[0]); err != nil {
		return nil, err
	}
	last := o.Sources[len(o.Sources)-1]
	switch again := scrape.IsURL(last) && o.Interval > 0; {
	case len(o.Sources) == 1 && !again:
	case len(o.Sources) == 1:
		if err := pause(ctx, o.Interval); err != nil {
			return nil, err
		}
		fallthrough
	default:
		s.before = s.now
		if s.now, err = o.Client.Get(ctx, last); err != nil {
			return nil, err
		}
	}
	target := scrape.Name(last)
	if !hasWebSockets(s.now) {
		return nil, fmt.Errorf("%s: none of its %s is about WebSockets. The names are %s. Is this the right address? Some libraries show a metric only after its first value",
			target, several(len(s.now.Families), "metric"), prefixes(s.now))
	}
	s.dotted = escapeDots(s.now)
	if s.before != nil {
		escapeDots(s.before)
	}
	s.roles = roles(s.now)

	r := &Report{Target: target, Series: s.now.Series()}
	for _, i := range items {
		item := Item{Name: i.name}
		i.run(ctx, s, &item)
		r.Items = append(r.Items, item)
		r.Status = max(r.Status, item.Status)
	}
	return r, ctx.Err()
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
