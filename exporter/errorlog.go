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
	// A scrape with a thousand duplicate series has an error message of a thousand lines.
	maxErrorLogBytes = 2 << 10
)

// errorLog logs one kind of error at most once per errorLogInterval. Without that limit, scrapers
// and port scanners would decide how much is logged. It implements promhttp.Logger, and io.Writer
// for log.Logger.
type errorLog struct {
	logger *slog.Logger
	msg    string

	mu         sync.Mutex
	last       time.Time
	suppressed int
}

// ErrorHandler returns an error handler for otel.SetErrorHandler that logs the SDK's errors to l.
// It logs at most one error in 10 s, with the number of errors that it suppressed since. If l is
// nil, it uses slog.Default(). For comparison, the SDK's default handler writes every error to
// stderr.
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
