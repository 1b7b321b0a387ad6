package checklist

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

const ownListener = "Serve the metrics on a separate listener that only Prometheus can reach. A scrape reveals your version and load, and must work while the public listener is overloaded"

func checkExposure(ctx context.Context, s *subject, i *Item) {
	source := s.Sources[len(s.Sources)-1]
	if !scrape.IsURL(source) {
		i.skip("needs the address of the metrics, not a file")
		return
	}
	u, err := url.Parse(source)
	if err != nil {
		i.skip("the address of the metrics is invalid")
		return
	}
	samePort(ctx, s, i, u)
	if ips := addresses(ctx, u.Hostname()); len(ips) > 0 {
		public(s, i, u, ips)
		i.ok("%s does not serve WebSockets, and is not a public address", u.Host)
		return
	}
	i.skip("this machine cannot resolve " + u.Hostname())
}

func samePort(ctx context.Context, s *subject, i *Item, metrics *url.URL) {
	if s.WebSocket == "" {
		if path, ok := s.guess(ctx, metrics); ok {
			i.add(Failed, fmt.Sprintf("%s also answers WebSocket handshakes, on %s: every WebSocket client can read the metrics", metrics.Host, path), ownListener)
		}
		return
	}
	ws, err := url.Parse(s.WebSocket)
	if err != nil {
		return // the command has validated it
	}
	if port(ws) == port(metrics) && overlap(addresses(ctx, ws.Hostname()), addresses(ctx, metrics.Hostname())) {
		i.add(Failed, fmt.Sprintf("the metrics are on the WebSocket's own port, %s", port(metrics)), ownListener)
		return
	}
	// A proxy in front of both may serve the metrics too.
	at := url.URL{Scheme: strings.Replace(ws.Scheme, "ws", "http", 1), Host: ws.Host, Path: metrics.Path}
	if _, err := s.Client.Get(ctx, at.String()); err == nil {
		i.add(Failed, fmt.Sprintf("the address of the WebSockets also serves the metrics, at %s", scrape.Name(at.String())), ownListener)
	}
}

// guess sends handshakes with an invalid protocol version. A WebSocket server answers
// with the versions that it supports (RFC 6455 section 4.4) and opens no connection.
func (s *subject) guess(ctx context.Context, metrics *url.URL) (string, bool) {
	for _, path := range []string{"/", "/ws", metrics.Path} {
		at := url.URL{Scheme: metrics.Scheme, Host: metrics.Host, Path: path, User: metrics.User}
		ctx, cancel := context.WithTimeout(ctx, s.Client.Timeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
		if err != nil {
			return "", false
		}
		for name, value := range map[string]string{
			"Connection":            "Upgrade",
			"Upgrade":               "websocket",
			"Sec-WebSocket-Version": "0",
			"Sec-WebSocket-Key":     "AAAAAAAAAAAAAAAAAAAAAA==",
		} {
			req.Header.Set(name, value)
		}
		resp, err := s.Client.HTTP.Do(req)
		if err != nil {
			continue
		}
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
		resp.Body.Close()
		if resp.Header.Get("Sec-WebSocket-Version") != "" || resp.StatusCode == http.StatusSwitchingProtocols {
			return path, true
		}
	}
	return "", false
}

// public judges the address of the scrape. It cannot see other addresses of the same
// listener.
func public(s *subject, i *Item, metrics *url.URL, ips []netip.Addr) {
	for _, ip := range ips {
		if !isPublic(ip) {
			continue
		}
		why := fmt.Sprintf("%s is a public address, %s", metrics.Hostname(), ip)
		if metrics.Hostname() == ip.String() {
			why = fmt.Sprintf("%s is a public address", ip)
		}
		if s.Client.Authorized || metrics.User != nil {
			i.add(Warning, why+". This check sent credentials, so it cannot tell whether they are required", "Listen on a private address, or block other clients with a firewall")
		} else {
			i.add(Failed, why+", and requires no credentials", "Listen on a private address, or block other clients with a firewall or with credentials")
		}
		return
	}
}

var sharedNetwork = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

func isPublic(ip netip.Addr) bool {
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !sharedNetwork.Contains(ip)
}

func addresses(ctx context.Context, host string) []netip.Addr {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	for n := range found {
		found[n] = found[n].Unmap()
	}
	return found
}

func overlap(a, b []netip.Addr) bool {
	return slices.ContainsFunc(a, func(ip netip.Addr) bool { return slices.Contains(b, ip) })
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" || u.Scheme == "wss" {
		return "443"
	}
	return "80"
}
