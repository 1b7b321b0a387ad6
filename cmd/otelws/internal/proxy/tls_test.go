package proxy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

// newCertificate writes a self-signed certificate and its key. The certificate is
// also valid for localhost.
func newCertificate(t *testing.T, dir, name string) proxy.TLSFiles {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost", name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	check(t, err)
	pkcs, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	f := proxy.TLSFiles{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	check(t, os.WriteFile(f.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	check(t, os.WriteFile(f.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs}), 0o600))
	return f
}

func startTLSBackend(t *testing.T, f proxy.TLSFiles, h http.Handler) *httptest.Server {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	check(t, err)
	b := httptest.NewUnstartedServer(h)
	b.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	b.Config.ErrorLog = discardLog
	b.StartTLS()
	t.Cleanup(b.Close)
	return b
}

func clientFor(t *testing.T, f proxy.TLSFiles, http2 bool) *http.Client {
	t.Helper()
	b, err := os.ReadFile(f.Cert)
	check(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: http2}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// TLS on both sides, for WebSockets, HTTP/1.1 and HTTP/2.
func TestTLS(t *testing.T) {
	front, back := newCertificate(t, t.TempDir(), "front.example"), newCertificate(t, t.TempDir(), "back.example")
	b := startTLSBackend(t, back, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/proto" {
			_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-Proto"))
			return
		}
		coderEcho(w, r)
	}))
	g := startProxy(t, proxy.Config{Backend: "wss://" + b.Listener.Addr().String(), ServerTLS: front, BackendTLS: proxy.TLSFiles{CA: back.Cert}})
	check(t, g.Ready(t.Context()))

	c, _, err := websocket.Dial(testContext(t), "wss://"+g.address, &websocket.DialOptions{HTTPClient: clientFor(t, front, false)})
	check(t, err)
	check(t, c.Write(testContext(t), websocket.MessageText, []byte("hello")))
	if _, got, err := c.Read(testContext(t)); err != nil || string(got) != "hello" {
		t.Errorf("echo %q, %v", got, err)
	}
	check(t, c.Close(websocket.StatusNormalClosure, ""))
	g.idle(t)
	g.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
	g.Wait(t, `ws_client_connections_closed_total{code="1000"}`, 1)

	for _, http2 := range []bool{false, true} {
		resp, err := clientFor(t, front, http2).Get("https://" + g.address + "/proto")
		check(t, err)
		if got := readAll(t, resp.Body); got != "https" || (resp.ProtoMajor == 2) != http2 {
			t.Errorf("%s: X-Forwarded-Proto %q", resp.Proto, got)
		}
		resp.Body.Close()
	}
}

func TestBackendCertificate(t *testing.T) {
	back, other := newCertificate(t, t.TempDir(), "back.example"), newCertificate(t, t.TempDir(), "other.example")
	b := startTLSBackend(t, back, http.NotFoundHandler())
	for _, tt := range []struct {
		name   string
		files  proxy.TLSFiles
		status int
	}{
		{"authority unknown", proxy.TLSFiles{}, 502},
		{"another authority", proxy.TLSFiles{CA: other.Cert}, 502},
		{"its authority", proxy.TLSFiles{CA: back.Cert}, 404},
		{"its name", proxy.TLSFiles{CA: back.Cert, ServerName: "back.example"}, 404},
		{"another name", proxy.TLSFiles{CA: back.Cert, ServerName: "other.example"}, 502},
		{"any", proxy.TLSFiles{Insecure: true}, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := startProxy(t, proxy.Config{Backend: b.URL, BackendTLS: tt.files})
			if resp := request(t, "GET", "http://"+g.address, nil); resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
			if tt.status == 502 {
				g.wantLog(t, "reason=tls")
			}
			if err := g.Ready(t.Context()); (err == nil) != (tt.status == 404) {
				t.Errorf("ready: %v", err)
			}
		})
	}
}

// The proxy loads a renewed certificate, and ignores a broken one.
func TestCertificateRenewed(t *testing.T) {
	dir := t.TempDir()
	files := newCertificate(t, dir, "first.example")
	b := startBackend(t, http.NotFoundHandler())
	g := startProxy(t, proxy.Config{Backend: b.URL, ServerTLS: files})
	name := func() string { return g.certificate(t) }
	if got := name(); got != "first.example" {
		t.Fatalf("certificate of %s", got)
	}
	newCertificate(t, dir, "second.example")
	eventually(t, "the second certificate", func() bool { return name() == "second.example" })
	check(t, os.WriteFile(files.Key, []byte("broken"), 0o600))
	eventually(t, "a log", func() bool {
		return name() == "second.example" && strings.Contains(g.log.String(), "failed to load the renewed certificate")
	})
}

// A symbolic link that leads to other files renews the certificate, even if their times
// are the same.
func TestCertificateRenewedByLink(t *testing.T) {
	dirs := map[string]string{"first.example": t.TempDir(), "second.example": t.TempDir()}
	for name, dir := range dirs {
		files := newCertificate(t, dir, name)
		for _, path := range []string{files.Cert, files.Key} {
			check(t, os.Chtimes(path, time.Time{}, time.Unix(1, 0)))
		}
	}
	data := filepath.Join(t.TempDir(), "..data")
	check(t, os.Symlink(dirs["first.example"], data))
	b := startBackend(t, http.NotFoundHandler())
	g := startProxy(t, proxy.Config{Backend: b.URL, ServerTLS: proxy.TLSFiles{Cert: filepath.Join(data, "tls.crt"), Key: filepath.Join(data, "tls.key")}})
	if got := g.certificate(t); got != "first.example" {
		t.Fatalf("certificate of %s", got)
	}
	check(t, os.Symlink(dirs["second.example"], data+"_tmp"))
	check(t, os.Rename(data+"_tmp", data))
	eventually(t, "the second certificate", func() bool { return g.certificate(t) == "second.example" })
}

// certificate returns the name in the certificate that a new client gets.
func (g *gateway) certificate(t *testing.T) string {
	t.Helper()
	c, err := tls.Dial("tcp", g.address, &tls.Config{InsecureSkipVerify: true})
	check(t, err)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestConfigErrors(t *testing.T) {
	dir := t.TempDir()
	files := newCertificate(t, dir, "x")
	for _, tt := range []struct {
		name string
		cfg  proxy.Config
		want string
	}{
		{"no URL", proxy.Config{Backend: "localhost:3000"}, "use a URL"},
		{"no host", proxy.Config{Backend: "http://:80"}, "use a URL"},
		{"no scheme", proxy.Config{Backend: "//localhost"}, "use the scheme"},
		{"another scheme", proxy.Config{Backend: "ftp://localhost"}, "use the scheme"},
		{"port", proxy.Config{Backend: "http://localhost:99999"}, "port"},
		{"query", proxy.Config{Backend: "http://localhost/?x"}, "scheme, host and path only"},
		{"user", proxy.Config{Backend: "http://me:secret@localhost/"}, "REDACTED@"},
		{"no socket", proxy.Config{Backend: "unix:"}, "add the path"},
		{"TLS for http", proxy.Config{Backend: "http://localhost", BackendTLS: proxy.TLSFiles{Insecure: true}}, "does not use TLS"},
		{"no authorities", proxy.Config{Backend: "https://localhost", BackendTLS: proxy.TLSFiles{CA: dir + "/none"}}, "none"},
		{"not authorities", proxy.Config{Backend: "https://localhost", BackendTLS: proxy.TLSFiles{CA: files.Key}}, "contains no PEM certificate"},
		{"half a pair", proxy.Config{Backend: "http://localhost", ServerTLS: proxy.TLSFiles{Cert: files.Cert}}, "both or neither"},
		{"no pair", proxy.Config{Backend: "http://localhost", ServerTLS: proxy.TLSFiles{Cert: files.Key, Key: files.Cert}}, "failed to load"},
		{"negative", proxy.Config{Backend: "http://localhost", DrainTimeout: -1}, "negative"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.WebSockets = noInstrumentation(t)
			_, err := proxy.New(tt.cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestRouteErrors(t *testing.T) {
	for _, tt := range []struct {
		patterns []string
		want     string
	}{
		{[]string{""}, "use a path pattern"},
		{[]string{"GET /x"}, "use a path pattern"},
		{[]string{"host/x"}, "use a path pattern"},
		{[]string{"/{"}, "bad wildcard"},
		{[]string{"/{x}/{x}"}, "duplicate wildcard"},
		{[]string{"/x", "/y", "/x"}, `"/x" conflicts with "/x"`},
		{[]string{"/{a}/x", "/x/{b}"}, `"/x/{b}" conflicts with "/{a}/x"`},
	} {
		_, err := proxy.NewRoutes(tt.patterns...)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), ".go:") {
			t.Errorf("%q: %v, want %q", tt.patterns, err, tt.want)
		}
	}
	if _, err := proxy.NewRoutes("/chat/{room}", "/chat/lobby", "/files/{path...}", "/{$}"); err != nil {
		t.Error(err)
	}
}
