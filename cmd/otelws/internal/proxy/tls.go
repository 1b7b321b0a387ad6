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
	files  TLSFiles
	logger *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	version [2]time.Time
	checked time.Time
}

func newCertificate(f TLSFiles, logger *slog.Logger) (*certificate, error) {
	if f.Cert == "" && f.Key == "" {
		return nil, nil
	}
	if f.Cert == "" || f.Key == "" {
		return nil, errors.New("a certificate needs its key, and a key its certificate: give both or neither")
	}
	c := &certificate{files: f, logger: logger}
	version, err := c.stat()
	if err == nil {
		err = c.load(version)
	}
	if err != nil {
		return nil, fmt.Errorf("failed to load the certificate: %w", err)
	}
	return c, nil
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{GetCertificate: c.get}
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.checked) < certCheck {
		return c.current, nil
	}
	c.checked = now
	version, err := c.stat()
	if err == nil && version != c.version {
		err = c.load(version)
	}
	if err != nil {
		c.logger.Warn("keeping the certificate in use, the one on disk cannot be loaded", "err", err)
	}
	return c.current, nil
}

// reload reads the files whether they have changed or not. Without TLS there are
// none.
func (c *certificate) reload() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	version, err := c.stat()
	if err == nil {
		err = c.load(version)
	}
	return err
}

func (c *certificate) stat() (version [2]time.Time, err error) {
	cert, err1 := os.Stat(c.files.Cert)
	key, err2 := os.Stat(c.files.Key)
	if err := cmp.Or(err1, err2); err != nil {
		return version, err
	}
	return [2]time.Time{cert.ModTime(), key.ModTime()}, nil
}

func (c *certificate) load(version [2]time.Time) error {
	cert, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return err
	}
	c.current, c.version = &cert, version
	return nil
}
