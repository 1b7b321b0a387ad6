package exporter_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/exporter"
)

func TestListenAndServe(t *testing.T) {
	l := listen(t)
	addr := l.Addr().String()
	l.Close()
	exp := newExporter(t, exporter.WithListenAddress(addr))
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- exp.ListenAndServe(ctx) }()
	waitFor(t, "the listener", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	wantSeries(t, scrape(t, "http://"+addr, textAccept), "target_info{")
	cancel()
	if err := <-served; err != nil {
		t.Errorf("ListenAndServe after cancellation: %v", err)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("the address is still bound")
	}
}

func TestServeWithContextDone(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := newExporter(t, exporter.WithListenAddress("127.0.0.1:0")).ListenAndServe(ctx); err != nil {
		t.Error(err)
	}
}

func TestCancelLetsScrapeEnd(t *testing.T) {
	g := newGate()
	defer g.open()
	srv := serve(t, newExporter(t, exporter.WithCollector(g)), nil)
	got := goDo(t, "GET", "http://"+srv.addr+"/metrics")
	g.waitEntered(t)

	srv.cancel()
	waitFor(t, "the listener to close", func() bool {
		c, err := net.Dial("tcp", srv.addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case <-srv.done:
		t.Fatalf("Serve returned %v with a scrape in progress", srv.err)
	default:
	}
	g.open()
	resp := <-got
	if resp.status != http.StatusOK {
		t.Errorf("scrape during cancellation: status %d", resp.status)
	}
	wantSeries(t, resp.body, "gate_passed 1", "target_info{")
	srv.stop(t)
}

func TestAddressInUse(t *testing.T) {
	l := listen(t)
	defer l.Close()
	exp := newExporter(t, exporter.WithListenAddress(l.Addr().String()))
	err := exp.ListenAndServe(context.Background())
	if err == nil || !strings.Contains(err.Error(), "address already in use") || !strings.Contains(err.Error(), l.Addr().String()) ||
		!strings.Contains(err.Error(), "WithListenAddress") {
		t.Errorf("ListenAndServe: %v, want the address, that it is in use, and the option", err)
	}
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("error has more than one line: %q", err)
	}
}

func TestListenerFails(t *testing.T) {
	l := listen(t)
	l.Close()
	if err := newExporter(t).Serve(context.Background(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve on a closed listener: %v, want %v", err, net.ErrClosed)
	}
}

func TestServeNilListener(t *testing.T) {
	if err := newExporter(t).Serve(context.Background(), nil); err == nil || err.Error() != "invalid listener: it is nil" {
		t.Errorf("Serve returned %v", err)
	}
}

// The configuration becomes invalid between New and ListenAndServe, and the address
// is in use. The error shows which of the two was checked first.
func TestWebConfigIsReadBeforeListening(t *testing.T) {
	for _, tt := range []struct{ name, content, want string }{
		{"unknown key", "tls_server_conf:\n  cert_file: x\nfoo: bar\n", "tls_server_conf"},
		{"no YAML", "{", "yaml"},
		{"certificate missing", "tls_server_config:\n  cert_file: missing.crt\n  key_file: missing.key\n", "missing.crt"},
		{"key left out", "tls_server_config:\n  cert_file: missing.crt\n", "key_file"},
		{"password in the clear", "basic_auth_users:\n  prometheus: secret\n", "bcrypt"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "web.yml")
			check(t, os.WriteFile(path, nil, 0o600))
			l := listen(t)
			defer l.Close()
			exp := newExporter(t, exporter.WithWebConfigFile(path), exporter.WithListenAddress(l.Addr().String()))
			check(t, os.WriteFile(path, []byte(tt.content), 0o600))

			_, errNew := exporter.New(exporter.WithWebConfigFile(path))
			free := listen(t)
			for where, err := range map[string]error{
				"New":            errNew,
				"ListenAndServe": exp.ListenAndServe(context.Background()),
				"Serve":          exp.Serve(context.Background(), free),
			} {
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("%s: %v; want %q and the path", where, err, tt.want)
				} else if strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: error has more than one line: %q", where, err)
				}
			}
			if err := free.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Serve left its listener open: closing it: %v", err)
			}
		})
	}
}

func TestConcurrentScrapes(t *testing.T) {
	exp := newExporter(t)
	srv := serve(t, exp, nil)
	counter, err := exp.MeterProvider().Meter("example.com/busy").Int64Counter("busy", metric.WithDescription("Work done."))
	check(t, err)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				counter.Add(context.Background(), 1)
			}
		}
	}()

	client := newClient(t, &http.Transport{DisableKeepAlives: true})
	var served, refused, other atomic.Int32
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			resp, err := client.Get("http://" + srv.addr + "/metrics")
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			switch resp.StatusCode {
			case http.StatusOK:
				served.Add(1)
			case http.StatusServiceUnavailable:
				refused.Add(1)
			default:
				other.Add(1)
			}
		})
	}
	wg.Wait()
	close(stop)
	<-stopped
	if served.Load() == 0 || other.Load() != 0 {
		t.Errorf("200 scrapes: %d served, %d refused, %d neither", served.Load(), refused.Load(), other.Load())
	}
	wantSeries(t, scrape(t, "http://"+srv.addr, textAccept), "busy_total ", "target_info{")
}

func TestTwoListeners(t *testing.T) {
	exp := newExporter(t)
	for range 2 {
		wantSeries(t, scrape(t, "http://"+serve(t, exp, nil).addr, textAccept), "target_info{")
	}
}

// waitFor polls for conditions without a signal.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(waitLimit); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting for %s", what)
		}
	}
}
