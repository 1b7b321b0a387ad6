package exporter

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
)

const (
	errorLogInterval = 10 * time.Second
	// A scrape with a thousand duplicate series has an error of as many lines.
	maxErrorLogBytes = 2 << 10
)

// errorLog logs one kind of error at most once per errorLogInterval, since scrapers and port
// scanners decide how often it comes. It is a promhttp.Logger, and an io.Writer for log.Logger.
type errorLog struct {
	logger *slog.Logger
	msg    string

	mu         sync.Mutex
	last       time.Time
	suppressed int
}

// ErrorHandler returns a handler for otel.SetErrorHandler that logs what the SDK reports there, at most
// once in 10 s with the number of those left out. The SDK's own handler writes each error to stderr. A
// nil logger is slog.Default().
func ErrorHandler(l *slog.Logger) otel.ErrorHandler {
	if l == nil {
		l = slog.Default()
	}
	log := &errorLog{logger: l, msg: "OpenTelemetry error"}
	return otel.ErrorHandlerFunc(func(err error) { log.Println(err) })
}

func (l *errorLog) Println(v ...any) { l.log(fmt.Sprintln(v...)) }

func (l *errorLog) Write(p []byte) (int, error) {
	l.log(string(p))
	return len(p), nil
}

func (l *errorLog) log(text string) {
	l.mu.Lock()
	now := time.Now()
	if !l.last.IsZero() && now.Sub(l.last) < errorLogInterval {
		l.suppressed++
		l.mu.Unlock()
		return
	}
	suppressed := l.suppressed
	l.last, l.suppressed = now, 0
	l.mu.Unlock()

	text = strings.TrimSpace(text)
	if len(text) > maxErrorLogBytes {
		text = strings.ToValidUTF8(text[:maxErrorLogBytes], "") + "..."
	}
	l.logger.Warn(l.msg, "err", text, "suppressed", suppressed)
}
