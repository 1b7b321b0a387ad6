package proxy

import (
	"crypto/tls"
	"errors"
	"time"

	"github.com/otelws/otelws-go/otelws"
)

// settings is the part of the configuration that [Proxy.Apply] replaces.
type settings struct {
	protocols      protocols
	trusted        Networks
	forwarded      Forwarded
	trustTraces    bool
	limits         Limits
	connectTimeout time.Duration
	drainTimeout   time.Duration
	drain          []otelws.DrainOption
}

func newSettings(cfg *Config) (s *settings, err error) {
	s = &settings{
		trusted:        cfg.Trusted,
		forwarded:      cfg.Forwarded,
		trustTraces:    cfg.TrustTraces,
		connectTimeout: cfg.ConnectTimeout,
		drainTimeout:   cfg.DrainTimeout,
		drain:          cfg.Drain,
	}
	if cfg.ConnectTimeout < 0 || cfg.ResponseTimeout < 0 || cfg.DrainTimeout < 0 {
		return nil, errors.New("a timeout is negative: use a positive duration, or 0")
	}
	if cfg.Forwarded == ForwardedAppend && len(cfg.Trusted) == 0 {
		return nil, errors.New("the policy append needs trusted proxies: name their networks, or use the policy replace")
	}
	if s.limits, err = cfg.Limits.withDefaults(); err != nil {
		return nil, err
	}
	s.protocols, err = newProtocols(cfg.Upgrades)
	return s, err
}

// Apply changes the configuration of a running proxy, and reads the certificate files
// again. If it returns an error, nothing has changed.
//
// Apply ends no connection. Open connections keep their idle limit and the sizes of
// their buffers, and they count towards the new limits on connections.
//
// These fields can change: Upgrades, Trusted, Forwarded, TrustTraces, ServerTLS,
// BackendTLS, ConnectTimeout, DrainTimeout, Drain, and Limits except HeaderBytes and
// HandshakeTime. Apply returns an error if another field differs.
func (p *Proxy) Apply(cfg Config) error {
	p.applying.Lock()
	defer p.applying.Unlock()
	next, err := newSettings(&cfg)
	if err != nil {
		return err
	}
	now := p.settings.Load()
	switch {
	case cfg.Backend != p.cfg.Backend, cfg.Host != p.cfg.Host, cfg.ResponseTimeout != p.cfg.ResponseTimeout:
		return errors.New("the backend, its host and its response timeout cannot change while the proxy runs: start it anew")
	case next.limits.HeaderBytes != now.limits.HeaderBytes, next.limits.HandshakeTime != now.limits.HandshakeTime:
		return errors.New("the limits on headers and on the time for a handshake cannot change while the proxy runs: start it anew")
	case (p.cert == nil) != (cfg.ServerTLS == TLSFiles{}):
		return errors.New("a listener cannot begin or cease to speak TLS while the proxy runs: start it anew")
	}
	var listener loadedCertificate
	if p.cert != nil {
		if listener, err = loadCertificate(cfg.ServerTLS); err != nil {
			return err
		}
	}
	var backend *tls.Config
	if backend, err = p.target.clientTLS(cfg.BackendTLS); err != nil {
		return err
	}

	if p.cert != nil {
		p.cert.use(listener)
	}
	p.target.tls.Store(backend)
	p.target.socketBytes.Store(int64(next.limits.SocketBytes))
	p.buffers.left.Add(next.limits.BufferBytes - now.limits.BufferBytes)
	p.settings.Store(next)
	return nil
}
