package checklist

import (
	"context"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// Options are what Run is to do.
type Options struct {
	// Sources are one or two of an address, a file or "-", the older first.
	Sources []string
	// Interval is the time between two scrapes of an address given alone.
	Interval time.Duration
	// Idle is whether the server has no connections, so that the gauge must
	// be at 0.
	Idle bool
	// WebSocket is the address of the WebSockets, empty where it is unknown.
	WebSocket string
	// Client is what scrapes.
	Client *scrape.Client
}

// subject is what the items look at.
type subject struct {
	Options
	before *scrape.Scrape // nil where there is one only
	now    *scrape.Scrape
	roles  []string // prefixes of the names
}

// items are the checklist, in its order.
var items = []struct {
	name string
	run  func(context.Context, *subject, *Item)
}{
	{"scrape", checkScrape},
	{"series", checkSeries},
	{"runtime", checkRuntime},
	{"conservation", checkConservation},
	{"idle", checkIdle},
	{"counters", checkCounters},
	{"labels", checkLabels},
	{"buckets", checkBuckets},
	{"units", checkUnits},
	{"names", checkNames},
	{"exposure", checkExposure},
}

// Run scrapes the sources and goes through the list. An error means that there
// was nothing to check, and names the source.
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
	s.roles = roles(s.now)

	r := &Report{Target: scrape.Name(last), Series: s.now.Series()}
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
