package main

import (
	"bytes"
	"log"
	"log/slog"
	"os"
)

// logNetHTTP has the logger say what net/http tells the log of the process alone,
// until the function that it returns is called. That may quote a response.
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
