package checklist

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// Options say what Run checks.
type Options struct {
	// Sources has one or two sources: addresses, files or "-" for standard input.
	// Of two, the first is the older scrape.
	Sources []string
	// Interval is the time between the two scrapes of a single address.
	Interval time.Duration
	// Idle says that the server has no connections, so that the gauge must be 0.
	Idle bool
	// WebSocket is the address of the WebSockets, and empty if it is unknown.
	WebSocket string
	// Client scrapes the addresses.
	Client *scrape.Client
}

// subject has the scrapes that the items look at.
type subject struct {
	Options
	before *scrape.Scrape // nil if there is only one
	now    *scrape.Scrape
	roles  []string // the prefixes of the names
	dotted []string // names that have been escaped
}

// items are the checklist, in its order.
var items = []struct {
	name string
	asks string
	run  func(context.Context, *subject, *Item)
}{
	{"scrape", "does the endpoint answer as Prometheus expects?", checkScrape},
	{"series", "are the expected metrics there, with their types?", checkSeries},
	{"runtime", "is there room for more file descriptors?", checkRuntime},
	{"conservation", "is opened = active + closed, in every label set?", checkConservation},
	{"idle", "with --idle: is the gauge at 0?", checkIdle},
	{"counters", "did no counter go backwards between two scrapes?", checkCounters},
	{"labels", "is every label bounded: no users, addresses, UUIDs?", checkLabels},
	{"buckets", "do the buckets tell observations apart?", checkBuckets},
	{"units", "are times plausible as seconds?", checkUnits},
	{"names", "do names follow the conventions of Prometheus?", checkNames},
	{"silence", "do connections that end with 1006 differ in silence and age?", checkSilence},
	{"exposure", "do the metrics have a port of their own, and a private address?", checkExposure},
}

// Help has a line for each item, and says what the item asks.
func Help() string {
	var b strings.Builder
	for _, i := range items {
		fmt.Fprintf(&b, "  %-*s%s\n", itemWidth, i.name, i.asks)
	}
	return b.String()
}

// Run scrapes the sources and goes through the checklist. An error means that
// there was nothing to check, and names the source.
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
	if !about(s.now) {
		return nil, fmt.Errorf("%s: none of its %s is about WebSockets, they are %s: is this the right address? Some libraries show a metric only after its first value",
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
