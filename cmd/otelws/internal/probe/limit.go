package probe

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// The values of Limit.On.
const (
	OnSilence = "silence"
	OnAge     = "age"
)

// Limit is a time after which connections ended. Times are in seconds.
type Limit struct {
	On      string  `json:"on"`
	Seconds float64 `json:"seconds"`
	// Least and Most are the bounds of the limit. They are equal if connections were
	// seen to end at the limit, and differ if connections were found dead afterwards.
	Least float64 `json:"least_seconds"`
	Most  float64 `json:"most_seconds"`

	Seen        Sign   `json:"seen"`
	WhenAsked   bool   `json:"when_asked"` // the end was seen only after this side had sent something
	Code        int    `json:"code,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Connections int    `json:"connections"` // number of connections that ended by this limit
	Known       string `json:"known,omitempty"`

	// Keeps and LetsGo are for a limit on silence: the traffic that keeps a
	// connection open, and the traffic that does not.
	Keeps  []Kind `json:"keeps,omitempty"`
	LetsGo []Kind `json:"lets_go,omitempty"`
}

// near reports whether two times can be the same limit.
func near(a, b float64) bool { return math.Abs(a-b) <= max(.25, .05*max(a, b)) }

// spread returns the difference between the greatest and the least time.
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

// limitOf returns the limit at which most of the connections ended. It returns nil if
// fewer than half of them ended at about the same silence or age.
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

// bracket returns a limit on silence between two bounds: the longest silence that a
// connection outlived, and the shortest one after which a connection was dead.
func bracket(outlived float64, dead []*Outcome) *Limit {
	dead = slices.SortedFunc(slices.Values(dead), func(a, b *Outcome) int { return cmp.Compare(a.Silence, b.Silence) })
	// A connection that died after a silence that others outlived did not die from
	// the limit.
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

// within reports whether t can be the time of the limit.
func (l *Limit) within(t float64) bool {
	return near(t, l.Seconds) || l.Least <= t && t <= l.Most
}

// exceededBy reports whether t is greater than the limit.
func (l *Limit) exceededBy(t float64) bool { return t > max(l.Most*1.05, l.Most+.25) }

// String returns the time, with its bounds if they differ.
func (l *Limit) String() string {
	if l.Least < l.Seconds || l.Seconds < l.Most {
		if l.Seconds > l.Least {
			return fmt.Sprintf("%s (between %s and %s)", short(l.Seconds), short(l.Least), short(l.Most))
		}
		return fmt.Sprintf("between %s and %s", short(l.Least), short(l.Most))
	}
	return short(l.Seconds)
}

// short formats a time with three digits.
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
