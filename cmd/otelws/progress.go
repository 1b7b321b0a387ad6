package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/load"
)

// The times between two reports of progress. A terminal redraws one line.
const (
	redrawEvery = 200 * time.Millisecond
	lineEvery   = 5 * time.Second
)

// showProgress returns a function that reports the progress of a load to w.
func showProgress(w io.Writer, every time.Duration) func(context.Context, func() load.Snapshot) {
	if !isTerminal(w) || os.Getenv("TERM") == "dumb" {
		return func(ctx context.Context, now func() load.Snapshot) {
			repeat(ctx, every, func() { fmt.Fprintln(w, progressText(now(), columns(w))) })
		}
	}
	return func(ctx context.Context, now func() load.Snapshot) {
		repeat(ctx, redrawEvery, func() { fmt.Fprint(w, "\r\x1b[K"+progressLine(now(), columns(w))) })
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

// progressText has as much as fits a line, the most important first.
func progressText(s load.Snapshot, columns int) string {
	text := fmt.Sprintf("%3.0f %%  %v", 100*s.Share, s.Elapsed.Round(time.Second/10))
	for _, more := range []string{
		fmt.Sprintf("%d errors", s.Errors),
		fmt.Sprintf("%d sent", s.Sent),
		fmt.Sprintf("%d received", s.Received),
		fmt.Sprintf("%d open", s.Active),
	} {
		if len(text)+2+len(more) < columns {
			text += "  " + more
		}
	}
	return text
}

// progressLine puts a bar before the text if there is room for one.
func progressLine(s load.Snapshot, columns int) string {
	text := progressText(s, columns)
	room := min(30, columns-len(text)-4)
	if room < 5 {
		return text[:min(len(text), max(columns-1, 0))]
	}
	done := int(s.Share * float64(room))
	return "[" + strings.Repeat("=", done) + strings.Repeat(" ", room-done) + "] " + text
}
