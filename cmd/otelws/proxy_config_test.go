package main

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
	"github.com/otelws/otelws-go/otelws"
)

// proxyFlags returns the flags of otelws proxy after parsing args.
func proxyFlags(t *testing.T, args ...string) (*proxyCommand, *pflag.FlagSet) {
	t.Helper()
	p, flags := new(proxyCommand), pflag.NewFlagSet("", pflag.ContinueOnError)
	p.addFlags(flags)
	check(t, flags.Parse(append([]string{"--backend", "http://localhost:3000"}, args...)))
	return p, flags
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "proxy.yml")
	check(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// A file has the same effect as flags.
func TestConfigFile(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		args       []string // the same settings as flags
		given      []string // flags in addition to the file
	}{
		{name: "nothing", file: "# nothing\n"},
		{name: "a comment", file: "# nothing yet\n"},
		{name: "null", file: "null\n"},
		{name: "one of each kind", file: `
limit.client-connections: 100
limit.handshakes: 2.5
limit.idle: 5m
limit.buffer-bytes: 1048576
trusted-proxy: [10.0.0.0/8, 192.168.0.1]
upgrade:
  - tunnel/1
  - other
forwarded: off
trace.trust-clients: true
drain.timeout: 20s
drain.spread: 4s
drain.code: 4001
`, args: []string{"--limit.client-connections=100", "--limit.handshakes=2.5", "--limit.idle=5m", "--limit.buffer-bytes=1048576",
			"--trusted-proxy=10.0.0.0/8", "--trusted-proxy=192.168.0.1", "--upgrade=tunnel/1", "--upgrade=other", "--forwarded=off",
			"--trace.trust-clients", "--drain.timeout=20s", "--drain.spread=4s", "--drain.code=4001"}},
		{name: "one for a list", file: "upgrade: tunnel/1\ntrusted-proxy: 10.0.0.0/8,fd00::/8\n", args: []string{"--upgrade=tunnel/1", "--trusted-proxy=10.0.0.0/8,fd00::/8"}},
		{name: "an empty list", file: "upgrade: []\n"},
		{name: "as text", file: "limit.connections: '100'\n", args: []string{"--limit.connections=100"}},
		{name: "half of the drain's timeout", file: "drain.timeout: 8s\n", args: []string{"--drain.timeout=8s"}},
		{name: "beside flags", file: "limit.idle: 1m\n", given: []string{"--upgrade=a", "--upgrade=b", "--close-code=4001", "--heartbeat=30s", "--trusted-proxy=::1", "--route=/x"},
			args: []string{"--limit.idle=1m"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := configFile(t, tt.file)
			p, flags := proxyFlags(t, append(tt.given, "--config.file", path)...)
			got, err := p.withFile(flags)
			check(t, err)
			p, flags = proxyFlags(t, append(tt.given, tt.args...)...)
			want, err := p.withFile(flags)
			check(t, err)
			values := func(p *proxyCommand) map[string]string {
				all := make(map[string]string)
				p.flags.VisitAll(func(f *pflag.Flag) { all[f.Name] = f.Value.String() })
				delete(all, "config.file")
				return all
			}
			if diff := cmp.Diff(values(want), values(got)); diff != "" {
				t.Errorf("-by flags +by the file:\n%s", diff)
			}
			if got.drain != want.drain || got.config.Limits != want.config.Limits {
				t.Errorf("%+v %+v, want %+v %+v", got.drain, got.config.Limits, want.drain, want.config.Limits)
			}
		})
	}
}

// With an invalid file, the proxy does not start, and prints one line that names the
// mistake.
func TestConfigFileErrors(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		want       []string
	}{
		{"no YAML", "limit.idle: [", []string{"yaml", "line 1"}},
		{"nothing", " \n", []string{"it is empty"}},
		{"a list", "- limit.idle", []string{"use names of flags"}},
		{"text", "limit.idle", []string{"use names of flags"}},
		{"two documents", "limit.idle: 1m\n---\nlimit.idle: 2m\n", []string{"more than one YAML document"}},
		{"a typing error", "\nlimit.conections: 1\n", []string{"line 2", "did you mean limit.connections?"}},
		{"no flag", "nonsense: 1\n", []string{"line 1", "there is no nonsense"}},
		{"with hyphens", "--limit.idle: 1m\n", []string{"line 1", "limit.idle"}},
		{"what cannot change", "listen: ':80'\n", []string{"listen cannot change", "--listen"}},
		{"heartbeats", "heartbeat: 30s\n", []string{"heartbeat cannot change"}},
		{"twice", "limit.idle: 1m\nlimit.idle: 2m\n", []string{"line 2", "limit.idle"}},
		{"given", "drain.code: 4001\n", []string{"line 1", "drain.code is set already"}},
		{"given in another spelling", "drain-code: 4001\n", []string{"drain-code is set already"}},
		{"no value", "limit.idle:\n", []string{"limit.idle has no value"}},
		{"a map", "limit: {idle: 1m}\n", []string{"there is no limit"}},
		{"a map for a value", "limit.idle: {a: b}\n", []string{"limit.idle takes plain values only"}},
		{"an alias", "limit.connections: &n 5\nlimit.client-connections: *n\n", []string{"line 2", "limit.client-connections takes plain values only"}},
		{"no boolean", "trace.trust-clients: yes\n", []string{"--trace.trust-clients yes", "use true or false"}},
		{"a list for a value", "limit.idle: [1m, 2m]\n", []string{"limit.idle takes one value"}},
		{"no duration", "limit.idle: often\n", []string{"--limit.idle often", "such as 30s"}},
		{"no number", "limit.connections: many\n", []string{"--limit.connections many", "use a number"}},
		{"no network", "trusted-proxy: [10.0.0.0/8, inside]\n", []string{"--trusted-proxy inside", "use a network"}},
		{"negative", "limit.idle: -1m\n", []string{"--limit.idle -1m"}},
		{"spread above the timeout", "drain.timeout: 5s\ndrain.spread: 5s\n", []string{"--drain.spread 5s"}},
		{"half a certificate", "tls.cert: x.pem\n", []string{"--tls.key", "both or neither"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := configFile(t, tt.file)
			var stdout, stderr strings.Builder
			code := run([]string{"proxy", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--backend", "http://localhost:1",
				"--drain.code", "1001", "--config.file", path}, &stdout, &stderr)
			line, rest, _ := strings.Cut(stderr.String(), "\n")
			if code == 0 || stdout.Len() > 0 || rest != "" {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
			}
			for _, want := range tt.want {
				if !strings.Contains(line, want) {
					t.Errorf("%s\nlacks %q", line, want)
				}
			}
		})
	}
	if code := run([]string{"proxy", "--backend", "http://localhost:1", "--config.file", t.TempDir() + "/none"}, new(strings.Builder), new(strings.Builder)); code == 0 {
		t.Error("no file is no error")
	}
}

// If the file or a certificate is invalid when it is read again, nothing changes, and
// one line of the log gives the reason.
func TestReloadKeepsWhatIsInUse(t *testing.T) {
	file := configFile(t, "limit.idle: 1m\ntrace.trust-clients: true\n")
	p, flags := proxyFlags(t, "--config.file", file)
	p, err := p.withFile(flags)
	check(t, err)
	cfg := p.gatewayConfig()
	cfg.WebSockets, err = otelws.New(otelws.WithMeterProvider(noop.NewMeterProvider()))
	check(t, err)
	gateway, err := proxy.New(cfg)
	check(t, err)
	for text, want := range map[string]string{
		"limit.idle: often\n":                                    "use a duration",
		"limit.idle: -1m\n":                                      "--limit.idle -1m0s: use a positive",
		"listen: ':80'\n":                                        "cannot change",
		"tls.cert: a.pem\ntls.key: a.key\n":                      "cannot begin or cease to speak TLS",
		"backend.insecure-skip-verify: true\n":                   "does not use TLS",
		"trace.trust-clients: false\nforwarded: append\n":        "--trusted-proxy",
		"trace.trust-clients: false\nupgrade: ['no token']\n":    "name of a protocol",
		"trace.trust-clients: false\nlimit.header-bytes: 2048\n": "limit.header-bytes cannot change",
	} {
		check(t, os.WriteFile(file, []byte(text), 0o600))
		var log strings.Builder
		if p.reload(gateway, slog.New(slog.NewTextHandler(&log, nil))) != p {
			t.Errorf("%q is in use", text)
		}
		if line := log.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, "level=ERROR") || !strings.Contains(line, want) {
			t.Errorf("%q: the log has %q, want %q", text, line, want)
		}
		if r, _ := http.NewRequest("GET", "http://test", nil); !gateway.TrustsTrace(r) {
			t.Fatalf("%q changed something", text)
		}
	}
	check(t, os.WriteFile(file, []byte("# nothing\n"), 0o600))
	if next := p.reload(gateway, slog.New(slog.DiscardHandler)); next == p || next.config.Limits.Idle != 0 {
		t.Error("what the file no longer has is not as by default")
	}
	if r, _ := http.NewRequest("GET", "http://test", nil); gateway.TrustsTrace(r) {
		t.Error("nothing has changed")
	}
}

// Every reloadable flag exists, and Apply accepts its change.
func TestReloadableFlags(t *testing.T) {
	_, flags := proxyFlags(t)
	for _, name := range reloadable {
		if flags.Lookup(name) == nil {
			t.Errorf("there is no --%s", name)
		}
	}
}
