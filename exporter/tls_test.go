package exporter_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/otelws/otelws-go/exporter"
)

// authority signs the certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test authority"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	cert, err := x509.ParseCertificate(der)
	check(t, err)
	return &authority{cert, key}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	return key
}

// issue returns a certificate for 127.0.0.1, valid for a server and a client, and its
// key as PEM.
func (a *authority) issue(t *testing.T) (cert, key []byte) {
	t.Helper()
	k := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, k.Public(), a.key)
	check(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	check(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

func (a *authority) clientCert(t *testing.T) []tls.Certificate {
	t.Helper()
	cert, err := tls.X509KeyPair(a.issue(t))
	check(t, err)
	return []tls.Certificate{cert}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

const tlsSection = `tls_server_config:
  cert_file: server.crt
  key_file: server.key
`

// writeWebConfig writes a web configuration, and the certificates that tlsSection and
// the cases name.
func writeWebConfig(t *testing.T, a *authority, content string) string {
	t.Helper()
	dir := t.TempDir()
	cert, key := a.issue(t)
	for name, data := range map[string][]byte{
		"web.yml":    []byte(content),
		"server.crt": cert,
		"server.key": key,
		"ca.crt":     pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}),
	} {
		check(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	return filepath.Join(dir, "web.yml")
}

func TestTLS(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	srv := serve(t, newExporter(t, exporter.WithWebConfigFile(writeWebConfig(t, ca, tlsSection))), nil)
	get := func(roots *x509.CertPool) (*http.Response, error) {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
		return newClient(t, tr).Get("https://" + srv.addr + "/metrics")
	}

	resp, err := get(ca.pool())
	check(t, err)
	if resp.ProtoMajor != 2 {
		t.Errorf("%s, want HTTP/2", resp.Proto)
	}
	wantSeries(t, readResponse(t, resp).body, "target_info{")

	if resp, err := get(stranger.pool()); err == nil {
		resp.Body.Close()
		t.Error("a client that does not know the authority got through")
	}
	if resp := do(t, "GET", "http://"+srv.addr+"/metrics"); resp.status != http.StatusBadRequest {
		t.Errorf("plain HTTP: status %d, want 400", resp.status)
	}
}

func TestHTTP2ScraperThatReadsNothing(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	srv := serve(t, newExporter(t,
		exporter.WithWebConfigFile(writeWebConfig(t, ca, tlsSection)),
		exporter.WithScrapeTimeout(4*time.Second),
		exporter.WithCollector(large(8<<20)),
	), nil)
	client := newClient(t, &http.Transport{
		TLSClientConfig:    &tls.Config{RootCAs: ca.pool()},
		ForceAttemptHTTP2:  true,
		DisableCompression: true,
	})
	client.Timeout = 0 // the server, not the client, must end the response
	resp, err := client.Get("https://" + srv.addr + "/metrics")
	check(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
		t.Fatalf("%s, status %d; want HTTP/2 and 200", resp.Proto, resp.StatusCode)
	}
	waitFor(t, "the server to give up on the unread response", func() bool {
		resp, err := client.Get("https://" + srv.addr + "/metrics?name[]=promhttp_metric_handler_requests_in_flight")
		check(t, err)
		return strings.Contains(readResponse(t, resp).body, "in_flight 1\n")
	})
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("the response was whole: nothing was blocked")
	}
}

func TestClientCertificates(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	config := writeWebConfig(t, ca, tlsSection+"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n")
	var log logBuffer
	srv := serve(t, newExporter(t, exporter.WithWebConfigFile(config), exporter.WithLogger(log.logger())), nil)
	get := func(certs []tls.Certificate) (*http.Response, error) {
		tlsConfig := &tls.Config{RootCAs: ca.pool()}
		if certs != nil {
			// Send the certificate even if the server's list of authorities does not
			// contain its issuer.
			tlsConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certs[0], nil }
		}
		return newClient(t, &http.Transport{TLSClientConfig: tlsConfig}).Get("https://" + srv.addr + "/metrics")
	}

	for name, certs := range map[string][]tls.Certificate{"no": nil, "a stranger's": stranger.clientCert(t)} {
		resp, err := get(certs)
		if err == nil {
			resp.Body.Close()
			t.Errorf("a client with %s certificate got through", name)
		} else if !strings.Contains(err.Error(), "tls: ") {
			t.Errorf("a client with %s certificate: %v, want a TLS alert", name, err)
		}
	}
	resp, err := get(ca.clientCert(t))
	check(t, err)
	wantSeries(t, readResponse(t, resp).body, "target_info{")
	if got := log.String(); strings.Count(got, "TLS handshake error") != 1 {
		t.Errorf("want the first refusal in the log, and no more of them:\n%s", got)
	}
}

func TestBasicAuth(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	check(t, err)
	ca := newAuthority(t)
	users := fmt.Sprintf("basic_auth_users:\n  prometheus: %s\n", hash)
	for name, config := range map[string]string{"plain": users, "TLS": tlsSection + users} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, newExporter(t, exporter.WithWebConfigFile(writeWebConfig(t, ca, config))), nil)
			scheme := "http://"
			if name == "TLS" {
				scheme = "https://"
			}
			client := newClient(t, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool()}})
			for _, tt := range []struct {
				user, password, path string
				want                 int
			}{
				{"prometheus", "right", "/metrics", 200},
				{"prometheus", "right", "/", 200},
				{"prometheus", "right", "/nothing", 404},
				{"prometheus", "wrong", "/metrics", 401},
				{"stranger", "right", "/metrics", 401},
				{"", "", "/metrics", 401},
				{"", "", "/-/healthy", 401},
				{"", "", "/nothing", 401},
			} {
				req, err := http.NewRequest("GET", scheme+srv.addr+tt.path, nil)
				check(t, err)
				if tt.user != "" {
					req.SetBasicAuth(tt.user, tt.password)
				}
				resp, err := client.Do(req)
				check(t, err)
				if got := readResponse(t, resp); got.status != tt.want {
					t.Errorf("%s as %q with %q: status %d, want %d", tt.path, tt.user, tt.password, got.status, tt.want)
				}
			}
		})
	}
}
