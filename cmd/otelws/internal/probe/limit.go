package probe

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// What a limit is on.
const (
	OnSilence = "silence"
	OnAge     = "age"
)

// Limit is a time after which connections ended. Times are in seconds.
type Limit struct {
	On      string  `json:"on"`
	Seconds float64 `json:"seconds"`
	// Least and Most are what it lies between. They are equal where connections ended
	// at the limit, and not where they were found dead.
	Least float64 `json:"least_seconds"`
	Most  float64 `json:"most_seconds"`

	Seen        Sign   `json:"seen"`
	WhenAsked   bool   `json:"when_asked"` // nothing was seen before this side sent something
	Code        int    `json:"code,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Connections int    `json:"connections"` // that ended so
	Known       string `json:"known,omitempty"`

	// Keeps and LetsGo say of a limit on silence which traffic keeps a connection, and
	// which does not.
	Keeps  []Kind `json:"keeps,omitempty"`
	LetsGo []Kind `json:"lets_go,omitempty"`
}

// near says whether two times are the same limit.
func near(a, b float64) bool { return math.Abs(a-b) <= max(.25, .05*max(a, b)) }

// spread is how far times are apart.
func spread(times []float64) float64 {
	if len(times) == 0 {
		return 0
	}
	return slices.Max(times) - slices.Min(times)
}

func median(times []float64) float64 {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

func timesOf(some []*Outcome, of func(*Outcome) float64) (all []float64) {
	for _, o := range some {
		all = append(all, of(o))
	}
	return all
}

func age(o *Outcome) float64     { return o.Age }
func silence(o *Outcome) float64 { return o.Silence }

// limitOf is the limit at which some connections ended, by their silence or age. It
// returns nil if they ended at times that have nothing in common.
func limitOf(on string, some []*Outcome, of func(*Outcome) float64) *Limit {
	if len(some) == 0 {
		return nil
	}
	at := median(timesOf(some, of))
	l := &Limit{On: on, Seconds: at, Least: at, Most: at}
	signs := map[Sign]int{}
	for _, o := range some {
		if !near(of(o), at) {
			continue
		}
		l.Connections++
		if signs[o.End]++; signs[o.End] > signs[l.Seen] {
			l.Seen, l.Code, l.Reason = o.End, o.Code, o.Reason
		}
	}
	if 2*l.Connections <= len(some) {
		return nil
	}
	return l
}

// bracket is the limit on silence that lies between what connections outlived, and
// after what they were found dead.
func bracket(outlived float64, dead []*Outcome) *Limit {
	dead = slices.SortedFunc(slices.Values(dead), func(a, b *Outcome) int { return cmp.Compare(a.Silence, b.Silence) })
	// One that is dead after less than others outlive is an accident of its own.
	dead = slices.DeleteFunc(dead, func(o *Outcome) bool { return o.Silence <= outlived })
	if len(dead) == 0 {
		return nil
	}
	l := &Limit{On: OnSilence, Least: outlived, Most: dead[0].Silence, WhenAsked: true, Seen: dead[0].End, Code: dead[0].Code, Reason: dead[0].Reason, Connections: len(dead)}
	l.Seconds = l.Least
	for _, r := range rungs {
		if l.Least <= r && r <= l.Most && l.Most-l.Least <= .2*r {
			l.Seconds = r
		}
	}
	return l
}

// within says whether t can be the limit.
func (l *Limit) within(t float64) bool {
	return near(t, l.Seconds) || l.Least <= t && t <= l.Most
}

// under says whether t is beyond the limit.
func (l *Limit) under(t float64) bool { return t > max(l.Most*1.05, l.Most+.25) }

// String writes the time as a limit is set.
func (l *Limit) String() string {
	if l.Least < l.Seconds || l.Seconds < l.Most {
		if l.Seconds > l.Least {
			return fmt.Sprintf("%s (between %s and %s)", short(l.Seconds), short(l.Least), short(l.Most))
		}
		return fmt.Sprintf("between %s and %s", short(l.Least), short(l.Most))
	}
	return short(l.Seconds)
}

// short writes a time with three digits.
func short(seconds float64) string {
	switch {
	case seconds >= 3600 && math.Mod(math.Round(seconds), 60) == 0:
		return fmt.Sprintf("%.4g h", math.Round(seconds)/3600)
	case seconds >= 100:
		return fmt.Sprintf("%.0f s", seconds)
	case seconds >= 1:
		return fmt.Sprintf("%.3g s", seconds)
	}
	return fmt.Sprintf("%.3g ms", seconds*1e3)
}

func duration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
}
