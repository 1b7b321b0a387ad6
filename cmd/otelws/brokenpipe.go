package main

import (
	"os/signal"
	"syscall"
)

// surviveBrokenPipes lets the process live on when the reader of its output has ended, such as a log
// shipper. Without it, the next log line would end the process and all connections.
func surviveBrokenPipes() { signal.Ignore(syscall.SIGPIPE) }
