package checklist

import (
	"context"
	"fmt"
	"strings"
)

// runtimes are the prefixes of metrics of language runtimes.
var runtimes = []string{"go_", "nodejs_", "jvm_", "python_", "dotnet_", "ruby_", "erlang_", "beam_", "php_"}

// The shares of used file descriptors for a warning and for a failure.
const (
	fdsNear = 0.8
	fdsFull = 0.95
)

func checkRuntime(_ context.Context, s *subject, i *Item) {
	open, haveOpen := s.now.Sum("process_open_fds")
	limit, haveLimit := s.now.Sum("process_max_fds")
	var absent []string
	for _, name := range []string{"process_open_fds", "process_max_fds", "process_resident_memory_bytes", "process_cpu_seconds_total"} {
		if _, ok := s.now.Sum(name); !ok {
			absent = append(absent, name)
		}
	}
	if len(absent) > 0 {
		i.add(Warning, strings.Join(absent, ", ")+" missing: every connection needs a file descriptor, and at the limit new connections fail",
			"Add the process collector of your client library: collectDefaultMetrics in prom-client, NewProcessCollector in client_golang", absent...)
	}
	if share := open / limit; haveOpen && haveLimit && limit > 0 && share >= fdsNear {
		status := Warning
		if share >= fdsFull {
			status = Failed
		}
		i.add(status, fmt.Sprintf("%.0f of %.0f file descriptors are open, %.0f %%", open, limit, 100*share),
			"Raise the limit (LimitNOFILE, ulimit -n), or distribute the connections over more instances", "process_open_fds", "process_max_fds")
	}
	i.ok("%.0f of %.0f file descriptors are open; %s", open, limit, languages(s))
}

func languages(s *subject) string {
	var found []string
	for _, prefix := range runtimes {
		for name := range s.now.Families {
			if strings.HasPrefix(name, prefix) {
				found = append(found, prefix)
				break
			}
		}
	}
	if len(found) == 0 {
		return "there are no metrics of a language runtime"
	}
	return "the runtime metrics are " + strings.Join(found, "*, ") + "*"
}
