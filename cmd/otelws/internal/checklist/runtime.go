package checklist

import (
	"context"
	"fmt"
	"strings"
)

// runtimes are prefixes of the metrics that a language's runtime has of itself.
var runtimes = []string{"go_", "nodejs_", "jvm_", "python_", "dotnet_", "ruby_", "erlang_", "beam_", "php_"}

// The shares of the descriptors from which on there is something to do.
const (
	fdsNear = 0.8
	fdsFull = 0.95
)

func checkRuntime(_ context.Context, s *subject, i *Item) {
	open, haveOpen := s.now.Sum("process_open_fds")
	limit, haveLimit := s.now.Sum("process_max_fds")
	if !haveOpen || !haveLimit {
		var names []string
		for name, have := range map[string]bool{"process_open_fds": haveOpen, "process_max_fds": haveLimit} {
			if !have {
				names = append(names, name)
			}
		}
		i.add(Failed, "the file descriptors and their limit are missing: every connection takes one, and at the limit all new ones fail",
			"Add the process collector of your client library, for process_open_fds and process_max_fds", sorted(names)...)
	}
	for _, name := range []string{"process_resident_memory_bytes", "process_cpu_seconds_total"} {
		if _, ok := s.now.Sum(name); !ok {
			i.add(Warning, name+" is missing", "Add the process collector of your client library", name)
		}
	}
	if share := open / limit; haveOpen && haveLimit && limit > 0 && share >= fdsNear {
		status := Warning
		if share >= fdsFull {
			status = Failed
		}
		i.add(status, fmt.Sprintf("%.0f of %.0f file descriptors are open, %.0f %%", open, limit, 100*share),
			"Raise the limit (LimitNOFILE, ulimit -n), or spread the connections over more instances", "process_open_fds", "process_max_fds")
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
		return "no metrics of a language's runtime"
	}
	return "the runtime's metrics are " + strings.Join(found, "*, ") + "*"
}
