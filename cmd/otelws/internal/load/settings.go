package load

import (
	"fmt"
	"time"
)

// Settings are the settings of a run in its result. Times are in seconds; 0 means none.
type Settings struct {
	Connections int     `json:"connections"`
	Ramp        float64 `json:"ramp"`
	Lifetime    float64 `json:"lifetime"`
	Duration    float64 `json:"duration"`
	Messages    int64   `json:"messages"`
	Sizes       string  `json:"sizes"`
	Rate        float64 `json:"rate"` // messages a second for each connection
	Binary      bool    `json:"binary"`
	Compression bool    `json:"compression"` // offered
	Echo        bool    `json:"echo"`        // expected
	Heartbeat   float64 `json:"heartbeat"`
	Drop        float64 `json:"drop"`
	Slow        float64 `json:"slow"`
	SlowPause   float64 `json:"slow_pause"`
	Timeout     float64 `json:"timeout"`
}

func (c *Config) settings() Settings {
	return Settings{
		Connections: c.Connections, Ramp: c.Ramp.Seconds(), Lifetime: c.Lifetime.Seconds(),
		Duration: c.Duration.Seconds(), Messages: c.Messages,
		Sizes: c.Sizes.String(), Rate: c.Rate, Binary: c.Binary, Compression: c.Compression, Echo: c.Echo,
		Heartbeat: c.Heartbeat.Seconds(), Drop: c.Drop, Slow: c.Slow, SlowPause: c.SlowPause.Seconds(),
		Timeout: c.Timeout.Seconds(),
	}
}

// lines describes the run, without settings that are off.
func (s Settings) lines() (all []string) {
	line := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	more := func(format string, args ...any) { all[len(all)-1] += fmt.Sprintf(format, args...) }
	line("%d connections", s.Connections)
	if s.Ramp > 0 {
		more(", opened within %v", seconds(s.Ramp))
	}
	if s.Lifetime > 0 {
		more(", each for %v", seconds(s.Lifetime))
	}
	if s.Compression {
		more(", offering permessage-deflate")
	}
	typ := "text"
	if s.Binary {
		typ = "binary"
	}
	line("%s messages of %s bytes", typ, s.Sizes)
	switch {
	case s.Rate > 0:
		more(", %v a second on each connection", s.Rate)
	case s.Echo:
		more(", each after the echo of the previous one")
	default:
		more(", as fast as possible")
	}
	if !s.Echo {
		more(", without an echo")
	}
	if s.Heartbeat > 0 {
		line("a ping every %v", seconds(s.Heartbeat))
	}
	if s.Drop > 0 {
		line("%.4g %% of the connections end without a close frame", 100*s.Drop)
	}
	if s.Slow > 0 {
		line("%.4g %% of the connections read slowly", 100*s.Slow)
	}
	switch {
	case s.Messages > 0 && s.Duration > 0:
		line("until %d messages are sent, or for %v", s.Messages, seconds(s.Duration))
	case s.Messages > 0:
		line("until %d messages are sent", s.Messages)
	default:
		line("for %v", seconds(s.Duration))
	}
	return all
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
