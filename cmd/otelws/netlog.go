package main

import (
	"bytes"
	"log"
	"log/slog"
	"os"
)

// logNetHTTP sends the messages that net/http writes to the standard logger to logger, until stop is
// called. It cuts quotes of responses, which may contain secrets.
func logNetHTTP(logger *slog.Logger) (stop func()) {
	flags := log.Flags()
	log.SetFlags(0)
	log.SetOutput(netLog{logger})
	return func() {
		log.SetFlags(flags)
		log.SetOutput(os.Stderr)
	}
}

type netLog struct{ *slog.Logger }

func (l netLog) Write(p []byte) (int, error) {
	said, _, _ := bytes.Cut(bytes.TrimSpace(p), []byte(" starting with "))
	l.Warn(string(said))
	return len(p), nil
}
