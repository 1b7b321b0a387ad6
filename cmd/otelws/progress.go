package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/load"
	"github.com/otelws/otelws-go/cmd/otelws/internal/probe"
)

// The intervals of progress reports. On a terminal, a report redraws one line.
const (
	redrawEvery = 200 * time.Millisecond
	lineEvery   = 5 * time.Second
)

// progress is the progress of a run.
type progress struct {
	share   float64 // from 0 to 1
	elapsed time.Duration
	more    []string // the most important first
}

func loadProgress(s load.Snapshot) progress {
	return progress{s.Share, s.Elapsed, []string{
		fmt.Sprintf("%d errors", s.Errors),
		fmt.Sprintf("%d sent", s.Sent),
		fmt.Sprintf("%d received", s.Received),
		fmt.Sprintf("%d open", s.Active),
	}}
}

func probeProgress(s probe.Snapshot) progress {
	return progress{s.Share, s.Elapsed, []string{
		fmt.Sprintf("%d connections open", s.Open),
		fmt.Sprintf("%d over", s.Ended),
	}}
}

// showProgress returns a function that reports the progress of a run to w: as a bar
// on a terminal, and as lines otherwise. An interval of 0 disables the lines.
func showProgress[S any](w io.Writer, every time.Duration, of func(S) progress) func(context.Context, func() S) {
	if !isTerminal(w) || os.Getenv("TERM") == "dumb" {
		if every == 0 {
			return nil
		}
		return func(ctx context.Context, now func() S) {
			repeat(ctx, every, func() { fmt.Fprintln(w, of(now()).text(columns(w))) })
		}
	}
	return func(ctx context.Context, now func() S) {
		repeat(ctx, redrawEvery, func() { fmt.Fprint(w, "\r\x1b[K"+of(now()).line(columns(w))) })
		fmt.Fprint(w, "\r\x1b[K")
	}
}

func repeat(ctx context.Context, every time.Duration, do func()) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			do()
		case <-ctx.Done():
			return
		}
	}
}

// text returns the values that fit on a line.
func (p progress) text(columns int) string {
	text := fmt.Sprintf("%3.0f %%  %v", 100*p.share, p.elapsed.Round(time.Second/10))
	for _, more := range p.more {
		if len(text)+2+len(more) < columns {
			text += "  " + more
		}
	}
	return text
}

// line returns the text, with a bar before it if there is room.
func (p progress) line(columns int) string {
	text := p.text(columns)
	room := min(30, columns-len(text)-4)
	if room < 5 {
		return text[:min(len(text), max(columns-1, 0))]
	}
	done := int(p.share * float64(room))
	return "[" + strings.Repeat("=", done) + strings.Repeat(" ", room-done) + "] " + text
}
