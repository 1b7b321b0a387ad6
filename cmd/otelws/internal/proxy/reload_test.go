package proxy_test

import (
	"crypto/tls"
	"net/http"
	"os"
	"testing"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

// Apply reads certificates and authorities again. Open connections stay open, and
// files that cannot be read change nothing.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	front, back, other := newCertificate(t, dir, "first.example"), newCertificate(t, t.TempDir(), "back.example"), newCertificate(t, t.TempDir(), "other.example")
	authorities := t.TempDir() + "/ca.pem"
	trust := func(f proxy.TLSFiles) {
		t.Helper()
		b, err := os.ReadFile(f.Cert)
		check(t, err)
		check(t, os.WriteFile(authorities, b, 0o600))
	}
	trust(other)
	b := startTLSBackend(t, back, http.NotFoundHandler())
	cfg := proxy.Config{Backend: b.URL, ServerTLS: front, BackendTLS: proxy.TLSFiles{CA: authorities}}
	g := startProxy(t, cfg)
	open, err := tls.Dial("tcp", g.address, &tls.Config{InsecureSkipVerify: true})
	check(t, err)
	defer open.Close()
	status := func() int {
		t.Helper()
		r, err := http.NewRequestWithContext(testContext(t), http.MethodGet, "https://"+g.address, nil)
		check(t, err)
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
		resp, err := tr.RoundTrip(r)
		check(t, err)
		resp.Body.Close()
		return resp.StatusCode
	}
	name := func() string {
		c, err := tls.Dial("tcp", g.address, &tls.Config{InsecureSkipVerify: true})
		check(t, err)
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := status(); got != http.StatusBadGateway {
		t.Errorf("status %d by an authority that is not trusted", got)
	}
	trust(back)
	newCertificate(t, dir, "second.example")
	check(t, g.Apply(cfg))
	if got := status(); got != http.StatusNotFound {
		t.Errorf("status %d, want the backend's", got)
	}
	if got := name(); got != "second.example" {
		t.Errorf("certificate of %s", got)
	}
	check(t, os.WriteFile(front.Key, []byte("broken"), 0o600))
	check(t, os.Remove(authorities))
	if err := g.Apply(cfg); err == nil {
		t.Error("there is nothing wrong with files that are broken and gone")
	}
	if got := status(); got != http.StatusNotFound || name() != "second.example" {
		t.Errorf("status %d, certificate of %s", got, name())
	}
	_, err = open.Write([]byte("GET / HTTP/1.1\r\nHost: test\r\n\r\n"))
	check(t, err)
	if _, err := open.Read(make([]byte, 10)); err != nil {
		t.Errorf("the connection from before: %v", err)
	}
}
