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

// TLSFiles is one side of TLS.
type TLSFiles struct {
	// Cert and Key are PEM files, of a listener.
	Cert, Key string
	// CA is a PEM file with the authorities that a backend's certificate may
	// be of, in place of the system's.
	CA string
	// ServerName is what a backend's certificate must be for, in place of the
	// host of its URL.
	ServerName string
	// Insecure takes any certificate of a backend.
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
		return nil, fmt.Errorf("%s holds no certificate in PEM form", f.CA)
	}
	return cfg, nil
}

// certCheck is how often the files of a certificate are looked at.
const certCheck = time.Second

// certificate is that of the listener. A new one is taken up once both its
// files are there.
type certificate struct {
	logger *slog.Logger

	mu      sync.Mutex
	current loadedCertificate
	checked time.Time
}

// loadedCertificate is what was in the files at a time.
type loadedCertificate struct {
	*tls.Certificate
	files   TLSFiles
	version [2]time.Time
}

// newCertificate returns nil where there is none.
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
		return loadedCertificate{}, errors.New("a certificate needs its key, and a key its certificate: give both or neither")
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

func (f TLSFiles) version() (version [2]time.Time, err error) {
	cert, err1 := os.Stat(f.Cert)
	key, err2 := os.Stat(f.Key)
	if err := cmp.Or(err1, err2); err != nil {
		return version, err
	}
	return [2]time.Time{cert.ModTime(), key.ModTime()}, nil
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
	if err == nil && version != c.current.version {
		var loaded loadedCertificate
		if loaded, err = loadCertificate(c.current.files); err == nil {
			c.current = loaded
		}
	}
	if err != nil {
		c.logger.Warn("keeping the certificate in use, the one on disk cannot be loaded", "err", err)
	}
	return c.current.Certificate, nil
}

func (c *certificate) use(loaded loadedCertificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.checked = loaded, time.Now()
}
