package exporter_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/otelws/otelws-go/exporter"
)

const pagePath = "/debug/things"

// identity is a page that shows the result of MayIdentify.
var identity = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, "may identify: ", exporter.MayIdentify(r))
})

const (
	shown  = "may identify: true"
	hidden = "may identify: false"
)

func TestPage(t *testing.T) {
	exp := newExporter(t, exporter.WithPage(pagePath, "Things & <more>", identity))
	srv := serve(t, exp, nil)
	base := "http://" + srv.addr
	if got := do(t, "GET", base+pagePath); got.status != 200 || got.body != shown {
		t.Errorf("the page is %d %q", got.status, got.body)
	}
	if got := do(t, "HEAD", base+pagePath); got.status != 200 {
		t.Errorf("HEAD is %d", got.status)
	}
	for method, path := range map[string]string{"POST": pagePath, "GET": pagePath + "/", "PUT": pagePath} {
		if got := do(t, method, base+path); got.status != 404 && got.status != 405 {
			t.Errorf("%s %s is %d", method, path, got.status)
		}
	}
	landing := do(t, "GET", base+"/").body
	if !strings.Contains(landing, pagePath) || !strings.Contains(landing, "Things &amp; &lt;more&gt;") {
		t.Errorf("the landing page has no link to the page:\n%s", landing)
	}
	if exporter.MayIdentify(httptest.NewRequest("GET", pagePath, nil)) {
		t.Error("a request from elsewhere may identify")
	}
}

// A page can be added later, even while scrapes are being served.
func TestAddPage(t *testing.T) {
	exp := newExporter(t, exporter.WithPage("/debug/first", "First", identity))
	base := "http://" + serve(t, exp, nil).addr
	if got := do(t, "GET", base+pagePath); got.status != 404 {
		t.Errorf("before AddPage, the page is %d", got.status)
	}
	if err := exp.AddPage("/debug/first", "Again", identity); err == nil || !strings.Contains(err.Error(), "another page") {
		t.Errorf("a path that has a page: error %v", err)
	}
	if err := exp.AddPage(pagePath, "", identity); err == nil || !strings.Contains(err.Error(), "give it a text") {
		t.Errorf("no text: error %v", err)
	}
	var group sync.WaitGroup
	group.Go(func() { do(t, "GET", base+"/") })
	check(t, exp.AddPage(pagePath, "Things", identity))
	group.Wait()
	if got := do(t, "GET", base+pagePath); got.status != 200 || got.body != shown {
		t.Errorf("the page is %d %q", got.status, got.body)
	}
	req, err := http.NewRequest("GET", base+pagePath, nil)
	check(t, err)
	req.Host = "evil.example"
	resp, err := newClient(t, &http.Transport{}).Do(req)
	check(t, err)
	if got := readResponse(t, resp); got.status != http.StatusForbidden {
		t.Errorf("the page is %d to a hostile site", got.status)
	}
	landing := do(t, "GET", base+"/").body
	for _, link := range []string{"/debug/first", pagePath} {
		if strings.Count(landing, `"`+link+`"`) != 1 {
			t.Errorf("the landing page does not have one link to %s:\n%s", link, landing)
		}
	}
}

// DNS rebinding: a foreign site can point its name to this machine, but Host then has
// that name.
func TestPageHosts(t *testing.T) {
	h := newExporter(t,
		exporter.WithPage(pagePath, "Things", identity),
		exporter.WithPageHosts("ws-1.internal", "WS-2.internal.")).Handler()
	for _, tt := range []struct {
		host, from, header string
		status             int
		body               string
	}{
		{"localhost:9091", "127.0.0.1:5000", "", 200, shown},
		{"LOCALHOST", "127.0.0.1:5000", "", 200, shown},
		{"localhost.", "127.0.0.1:5000", "", 200, shown},
		{"127.0.0.1:9091", "127.0.0.1:5000", "", 200, shown},
		{"[::1]:9091", "[::1]:5000", "", 200, shown},
		{"[::1]", "[::ffff:127.0.0.1]:5000", "", 200, shown},
		{"localhost:9091", "10.0.0.9:5000", "", 200, hidden},
		{"10.0.0.7:9091", "10.0.0.9:5000", "", 200, hidden},
		{"10.0.0.7:9091", "127.0.0.1:5000", "", 200, hidden},
		{"localhost:9091", "127.0.0.1:5000", "X-Forwarded-For", 200, hidden},
		{"localhost:9091", "127.0.0.1:5000", "Forwarded", 200, hidden},
		{"localhost:9091", "127.0.0.1:5000", "Authorization", 200, shown},
		{"10.0.0.7:9091", "10.0.0.9:5000", "Authorization", 200, hidden},
		{"ws-1.internal:9091", "10.0.0.9:5000", "", 200, shown},
		{"ws-2.internal", "10.0.0.9:5000", "", 200, shown},
		{"evil.example:9091", "127.0.0.1:5000", "", 403, "evil.example"},
		{"localhost.evil.example", "127.0.0.1:5000", "", 403, "evil.example"},
		{"127.0.0.1.evil.example", "127.0.0.1:5000", "", 403, "evil.example"},
		{"evil.example", "127.0.0.1:5000", "Authorization", 403, "evil.example"},
		{"", "127.0.0.1:5000", "", 403, "not a known name"},
	} {
		r := httptest.NewRequest("GET", pagePath, nil)
		r.Host, r.RemoteAddr = tt.host, tt.from
		if tt.header != "" {
			r.Header.Set(tt.header, "Basic YTpi")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) {
			t.Errorf("%s from %s with %q: %d %q, want %d %q", tt.host, tt.from, tt.header, w.Code, w.Body, tt.status, tt.body)
		}
	}
}

// Users and client certificates authenticate a request. A file without users and
// client certificates does not.
func TestPageUnderWebConfig(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	check(t, err)
	ca := newAuthority(t)
	users := fmt.Sprintf("basic_auth_users:\n  prometheus: %s\n", hash)
	optional := tlsSection + "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n"
	for _, tt := range []struct {
		name, config string
		cert, user   bool
		host         string
		status       int
		body         string
	}{
		{"TLS alone", tlsSection, false, false, "10.0.0.7", 200, hidden},
		{"TLS alone, another user's credentials", tlsSection, false, true, "10.0.0.7", 200, hidden},
		{"TLS alone, rebound", tlsSection, false, false, "evil.example", 403, "evil.example"},
		{"headers alone", "http_server_config:\n  headers:\n    X-Frame-Options: deny\n", false, true, "evil.example", 403, "evil.example"},
		{"users", users, false, true, "ws.example", 200, shown},
		{"users, nobody", users, false, false, "localhost", 401, ""},
		{"TLS and users", tlsSection + users, false, true, "ws.example", 200, shown},
		{"certificate", optional, true, false, "ws.example", 200, shown},
		{"certificate not given", optional, false, false, "ws.example", 403, "ws.example"},
		{"certificate not given, by address", optional, false, false, "10.0.0.7", 200, hidden},
		{"any certificate", tlsSection + "  client_auth_type: RequireAnyClientCert\n", true, false, "10.0.0.7", 200, hidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			exp := newExporter(t, exporter.WithPage(pagePath, "Things", identity), exporter.WithWebConfigFile(writeWebConfig(t, ca, tt.config)))
			srv := serve(t, exp, nil)
			scheme, tlsConfig := "http://", &tls.Config{RootCAs: ca.pool()}
			if strings.HasPrefix(tt.config, tlsSection) {
				scheme = "https://"
			}
			if tt.cert {
				tlsConfig.Certificates = ca.clientCert(t)
			}
			req, err := http.NewRequest("GET", scheme+srv.addr+pagePath, nil)
			check(t, err)
			req.Host = tt.host
			if tt.user {
				req.SetBasicAuth("prometheus", "right")
			}
			resp, err := newClient(t, &http.Transport{TLSClientConfig: tlsConfig}).Do(req)
			check(t, err)
			if got := readResponse(t, resp); got.status != tt.status || !strings.Contains(got.body, tt.body) {
				t.Errorf("%d %q, want %d %q", got.status, got.body, tt.status, tt.body)
			}
		})
	}
}

// The users in the file do not authenticate requests to another server. If the users
// are removed from the file, nobody is authenticated.
func TestPageUsersAreThoseOfTheListener(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	check(t, err)
	ca := newAuthority(t)
	config := writeWebConfig(t, ca, fmt.Sprintf("basic_auth_users:\n  prometheus: %s\n", hash))
	exp := newExporter(t, exporter.WithPage(pagePath, "Things", identity), exporter.WithWebConfigFile(config))
	get := func(base string) response {
		req, err := http.NewRequest("GET", base+pagePath, nil)
		check(t, err)
		req.Host = "10.0.0.7"
		req.SetBasicAuth("prometheus", "wrong or right")
		resp, err := newClient(t, &http.Transport{}).Do(req)
		check(t, err)
		return readResponse(t, resp)
	}
	if got := get(serveHandler(t, exp)); got.body != hidden {
		t.Errorf("a server of the caller's: %q", got.body)
	}
	srv := serve(t, exp, nil)
	if got := get("http://" + srv.addr); got.status != http.StatusUnauthorized {
		t.Errorf("a wrong password: %d", got.status)
	}
	check(t, os.WriteFile(config, nil, 0o600))
	if got := get("http://" + srv.addr); got.body != hidden {
		t.Errorf("without users: %q", got.body)
	}
}

func TestPageRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []exporter.Option
		want string
	}{
		{"path elsewhere", []exporter.Option{exporter.WithPage("/metrics", "Things", identity)}, `"/metrics"`},
		{"path with a query", []exporter.Option{exporter.WithPage("/debug/a?b", "Things", identity)}, "/debug/ and a name"},
		{"no name", []exporter.Option{exporter.WithPage("/debug/", "Things", identity)}, "/debug/ and a name"},
		{"twice", []exporter.Option{exporter.WithPage(pagePath, "A", identity), exporter.WithPage(pagePath, "B", identity)}, "another page"},
		{"no text", []exporter.Option{exporter.WithPage(pagePath, " ", identity)}, "give it a text"},
		{"no handler", []exporter.Option{exporter.WithPage(pagePath, "Things", nil)}, "nil"},
		{"host with a port", []exporter.Option{exporter.WithPageHosts("ws-1:9091")}, "without a port"},
		{"empty host", []exporter.Option{exporter.WithPageHosts("")}, "without a port"},
	} {
		_, err := exporter.New(tt.opts...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v lacks %q", tt.name, err, tt.want)
		}
	}
}
