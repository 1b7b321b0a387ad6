package probe

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// outcome returns the outcome of a silent connection, or of a busy one with traffic
// just before.
func outcome(kind Kind, twin bool, at float64, end Sign) Outcome {
	o := Outcome{Kind: kind, Age: at, Silence: .01, End: end, twin: twin}
	if twin {
		o.Start = 5
	}
	if kind == Silent {
		o.Planned, o.Silence = 120, at
		o.Asked = end == Nothing
		if end == Open {
			o.Outlived = at
		}
	}
	return o
}

// rung returns the outcome of a connection of the ladder.
func rung(at float64, end Sign) Outcome {
	o := Outcome{Kind: Silent, Planned: at, Age: at, Silence: at, End: end, Asked: end != Open}
	if end == Open {
		o.Outlived = at
	}
	return o
}

func pair(kind Kind, at float64, end Sign) []Outcome {
	return []Outcome{outcome(kind, false, at, end), outcome(kind, true, at, end)}
}

func TestJudge(t *testing.T) {
	alive := slices.Concat(pair(KeepAlive, 120, Open), pair(Pong, 120, Open), pair(Ping, 120, Open), pair(Message, 120, Open))
	for _, tt := range []struct {
		name      string
		outcomes  []Outcome
		limits    []string
		heartbeat string
		note      string
	}{
		{"nothing", slices.Concat(pair(Silent, 120, Open), alive), nil, "", ""},
		{"nginx", slices.Concat(pair(Silent, 60.003, FIN), pair(KeepAlive, 60.003, FIN), pair(Pong, 120, Open), pair(Ping, 120, Open), pair(Message, 120, Open)),
			[]string{"silence 60 s fin, kept by [pong ping message], not by [keepalive], nginx"}, "otelws.WithHeartbeat(otelws.Every(45*time.Second))", ""},
		{"a balancer of TCP", slices.Concat(pair(Silent, 120, Nothing), []Outcome{rung(96, Open), rung(104, Nothing)}, alive),
			[]string{"silence 100 s (between 96 s and 104 s) nothing, kept by [keepalive pong ping message], not by [], Cloudflare"}, "otelws.WithHeartbeat(otelws.Every(72*time.Second))", ""},
		{"an odd limit", slices.Concat([]Outcome{rung(31.2, Open), rung(43.2, RST)}, alive),
			[]string{"silence between 31.2 s and 43.2 s rst, kept by [keepalive pong ping message], not by [], "}, "otelws.WithHeartbeat(otelws.Every(23*time.Second))", ""},
		{"one accident", slices.Concat(pair(Silent, 120, Open), []Outcome{rung(43.2, Nothing)}, alive), nil, "", ""},
		{"one of the pings, by chance", slices.Concat(pair(Silent, 120, Open), pair(KeepAlive, 120, Open), pair(Pong, 120, Open), []Outcome{outcome(Ping, false, 47, RST), outcome(Ping, true, 120, Open)}, pair(Message, 120, Open)), nil, "", "1 of 2 connections with pings ended at the age of 47 s"},
		{"one of the silent, by chance", slices.Concat([]Outcome{outcome(Silent, false, 47, RST), outcome(Silent, true, 120, Open)}, alive), nil, "", "1 of the silent connections ended after 47 s"},
		{"age", slices.Concat(pair(Silent, 30.01, FIN), pair(KeepAlive, 30.01, FIN), pair(Pong, 30, FIN), pair(Ping, 30.02, FIN), pair(Message, 30, FIN)),
			[]string{"age 30 s fin, kept by [], not by [], Google"}, "", ""},
		{"age of a second", slices.Concat(pair(Silent, 1.2, FIN), pair(Ping, 1.2, FIN), pair(Message, 1.2, FIN)), []string{"age 1.2 s fin, kept by [], not by [], "}, "", ""},
		{"age, in silence", slices.Concat(pair(Silent, 120, Nothing), []Outcome{rung(28.8, Open), rung(31.2, Nothing)}, pair(KeepAlive, 120, Nothing), pair(Pong, 120, Nothing), pair(Ping, 30.5, Nothing), pair(Message, 120, Nothing)),
			[]string{"age 30.5 s nothing, kept by [], not by [], Google"}, "", ""},
		{"pings do not count", slices.Concat(pair(Silent, 20, FIN), pair(KeepAlive, 20, FIN), pair(Pong, 20, FIN), pair(Ping, 20, FIN), pair(Message, 120, Open)),
			[]string{"silence 20 s fin, kept by [message], not by [keepalive pong ping], "}, "message 15", ""},
		{"pings count for one hop of two", slices.Concat(pair(Silent, 20, FIN), pair(KeepAlive, 20, FIN), pair(Pong, 60, FIN), pair(Ping, 60, FIN), pair(Message, 120, Open)),
			[]string{"silence 20 s fin, kept by [pong ping message], not by [keepalive], ", "silence 60 s fin, kept by [message], not by [pong ping], nginx"}, "message 15", ""},
		{"messages are refused", slices.Concat(pair(Silent, 20, FIN), pair(KeepAlive, 20, FIN), pair(Pong, 20, FIN), pair(Ping, 20, FIN), pair(Message, 1.1, Close)),
			[]string{"silence 20 s fin, kept by [], not by [keepalive pong ping], "}, "", "cannot tell a limit on age"},
		{"a restart", []Outcome{outcome(Silent, false, 50, FIN), outcome(Silent, true, 45, FIN), outcome(Ping, false, 50, FIN), outcome(Ping, true, 45, FIN), outcome(Message, false, 50, FIN), outcome(Message, true, 45, FIN)},
			nil, "", "6 connections of different age ended"},
		{"refused", append(slices.Concat(pair(Silent, 120, Open), alive), Outcome{Kind: Silent, End: Refused, Error: "dial: refused"}, Outcome{Kind: Silent, End: Refused, Error: "dial: refused"}), nil, "", "Handshakes failed: dial: refused (2)"},
		{"pings too rare", slices.Concat(pair(Silent, .9, FIN), pair(Ping, .9, FIN), pair(Message, .9, FIN)), []string{"silence 900 ms fin, kept by [], not by [], "}, "otelws.WithHeartbeat(otelws.Every(500*time.Millisecond))", "--every 1s is too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Result{Max: 120, Every: 1, Outcomes: tt.outcomes}
			r.judge()
			var got []string
			for _, l := range r.Limits {
				known, _, _ := strings.Cut(strings.TrimPrefix(l.Known, "the backend timeout of the "), " ")
				known, _, _ = strings.Cut(known, "'")
				got = append(got, fmt.Sprintf("%s %v %s, kept by %v, not by %v, %s", l.On, l, l.Seen, l.Keeps, l.LetsGo, known))
			}
			if !slices.Equal(got, tt.limits) {
				t.Errorf("%q, want %q", got, tt.limits)
			}
			heartbeat := ""
			if h := r.Heartbeat; h != nil && h.Of == Ping {
				heartbeat = h.Otelws
			} else if h != nil {
				heartbeat = fmt.Sprintf("%s %v", h.Of, h.Seconds)
			}
			if heartbeat != tt.heartbeat {
				t.Errorf("a heartbeat of %q, want %q", heartbeat, tt.heartbeat)
			}
			if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, tt.note) || tt.note == "" && notes != "" {
				t.Errorf("notes %q, want %q", notes, tt.note)
			}
		})
	}
}

// The number of connections is bounded for every --max.
func TestPlan(t *testing.T) {
	for max, want := range map[float64]int{1: 10 + 1, 8: 10 + 10, 120: 10 + 31, 660: 10 + 44, 7200: 10 + 51} {
		cfg := Config{Max: duration(max), Ladder: true}
		if n := cfg.Connections(); n != want {
			t.Errorf("%d connections for %v s, want %d", n, max, want)
		}
		for _, a := range cfg.plan() {
			if a.silence > cfg.Max || a.start > cfg.Length() {
				t.Errorf("%v s: %+v", max, a)
			}
		}
	}
	cfg := Config{Max: duration(120)}
	if n := cfg.Connections(); n != 10 {
		t.Errorf("%d connections without a ladder", n)
	}
}
