package proxy

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLSFiles configures TLS: Cert and Key for the listener, the other fields for the
// backend.
type TLSFiles struct {
	// Cert and Key are the PEM files of the listener's certificate and its key.
	Cert, Key string
	// CA is a PEM file with the authorities that may have signed the backend's
	// certificate. By default these are the system's authorities.
	CA string
	// ServerName is the name that the backend's certificate must be valid for. The
	// default is the host of the backend's URL.
	ServerName string
	// Insecure accepts any certificate of the backend.
	Insecure bool
}

func (f TLSFiles) client() (*tls.Config, error) {
	cfg := &tls.Config{ServerName: f.ServerName, InsecureSkipVerify: f.Insecure}
	if f.CA == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, fmt.Errorf("failed to read the authorities of the backend: %w", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s contains no PEM certificate", f.CA)
	}
	return cfg, nil
}

// certCheck is the minimum time between two checks of the certificate files for
// changes.
const certCheck = time.Second

// certificate is the certificate of the listener. It loads the files again after they
// change.
type certificate struct {
	logger *slog.Logger

	mu      sync.Mutex
	current loadedCertificate
	checked time.Time
}

// loadedCertificate is a certificate with the state of its files.
type loadedCertificate struct {
	*tls.Certificate
	files   TLSFiles
	version fileVersions
}

// fileVersions are the states of a certificate's file and its key's file.
type fileVersions [2]os.FileInfo

// same reports whether vs and others are those of the same files. A modification time is not enough:
// tools that build reproducibly give every file the same one, and a symbolic link then leads to
// another file.
func (vs fileVersions) same(others fileVersions) bool {
	for i, v := range vs {
		o := others[i]
		if !os.SameFile(v, o) || v.Size() != o.Size() || !v.ModTime().Equal(o.ModTime()) {
			return false
		}
	}
	return true
}

// newCertificate returns nil if f is empty.
func newCertificate(f TLSFiles, logger *slog.Logger) (*certificate, error) {
	if f == (TLSFiles{}) {
		return nil, nil
	}
	loaded, err := loadCertificate(f)
	if err != nil {
		return nil, err
	}
	return &certificate{logger: logger, current: loaded}, nil
}

func loadCertificate(f TLSFiles) (loadedCertificate, error) {
	if f.Cert == "" || f.Key == "" {
		return loadedCertificate{}, errors.New("TLS needs a certificate and its key: give both or neither")
	}
	version, err := f.version()
	if err == nil {
		var cert tls.Certificate
		if cert, err = tls.LoadX509KeyPair(f.Cert, f.Key); err == nil {
			return loadedCertificate{&cert, f, version}, nil
		}
	}
	return loadedCertificate{}, fmt.Errorf("failed to load the certificate: %w", err)
}

func (f TLSFiles) version() (fileVersions, error) {
	cert, err1 := os.Stat(f.Cert)
	key, err2 := os.Stat(f.Key)
	return fileVersions{cert, key}, cmp.Or(err1, err2)
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{GetCertificate: c.get}
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.checked) < certCheck {
		return c.current.Certificate, nil
	}
	c.checked = now
	version, err := c.current.files.version()
	if err == nil && !version.same(c.current.version) {
		var loaded loadedCertificate
		if loaded, err = loadCertificate(c.current.files); err == nil {
			c.current = loaded
		}
	}
	if err != nil {
		c.logger.Warn("failed to load the renewed certificate, keeping the old one", "err", err)
	}
	return c.current.Certificate, nil
}

func (c *certificate) use(loaded loadedCertificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.checked = loaded, time.Now()
}
