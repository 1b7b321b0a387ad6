package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/otelws/otelws-go/cmd/otelws/internal/load"
)

// How often the progress is shown: redrawn on a terminal, else as lines.
const (
	redrawEvery = 200 * time.Millisecond
	lineEvery   = 5 * time.Second
)

// showProgress returns what reports the progress of a load to w.
func showProgress(w io.Writer, every time.Duration) func(context.Context, func() load.Snapshot) {
	if !isTerminal(w) || os.Getenv("TERM") == "dumb" {
		return func(ctx context.Context, now func() load.Snapshot) {
			repeat(ctx, every, func() { fmt.Fprintln(w, progressText(now())) })
		}
	}
	return func(ctx context.Context, now func() load.Snapshot) {
		repeat(ctx, redrawEvery, func() { fmt.Fprint(w, "\r\x1b[K"+progressBar(now(), width(w))) })
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

func width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return columns
		}
	}
	return 80
}

func progressText(s load.Snapshot) string {
	return fmt.Sprintf("%3.0f %%  %v  %d connections  %d sent  %d received  %d errors",
		100*s.Share, s.Elapsed.Round(time.Second/10), s.Active, s.Sent, s.Received, s.Errors)
}

// progressBar fits a bar and what text there is room for into a line.
func progressBar(s load.Snapshot, columns int) string {
	text := progressText(s)
	room := min(30, columns-len(text)-4)
	if room < 5 {
		return text[:min(len(text), max(columns-1, 0))]
	}
	done := int(s.Share * float64(room))
	return "[" + strings.Repeat("=", done) + strings.Repeat(" ", room-done) + "] " + text
}
