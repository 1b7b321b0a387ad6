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

const ownListener = "Give the metrics a listener of their own that only Prometheus reaches. A scrape tells your build and your load, and must answer when the public listener is saturated"

func checkExposure(ctx context.Context, s *subject, i *Item) {
	source := s.Sources[len(s.Sources)-1]
	if !scrape.IsURL(source) {
		i.skip("needs the address of the metrics, not a file")
		return
	}
	u, err := url.Parse(source)
	if err != nil {
		i.skip("nobody can read the address")
		return
	}
	samePort(ctx, s, i, u)
	if ips := addresses(ctx, u.Hostname()); len(ips) > 0 {
		public(s, i, u, ips)
		i.ok("%s serves no WebSockets, and is no public address", u.Host)
		return
	}
	i.skip("this machine cannot look up " + u.Hostname())
}

func samePort(ctx context.Context, s *subject, i *Item, metrics *url.URL) {
	if s.WebSocket == "" {
		if path, ok := s.guess(ctx, metrics); ok {
			i.add(Failed, fmt.Sprintf("%s also answers WebSocket handshakes, on %s: whoever reaches the WebSockets reaches the metrics", metrics.Host, path), ownListener)
		}
		return
	}
	ws, err := url.Parse(s.WebSocket)
	if err != nil {
		return // the command has refused it
	}
	if port(ws) == port(metrics) && overlap(addresses(ctx, ws.Hostname()), addresses(ctx, metrics.Hostname())) {
		i.add(Failed, fmt.Sprintf("the metrics are on the WebSocket's own port, %s", port(metrics)), ownListener)
		return
	}
	// A proxy in front of both may have mapped the path.
	at := url.URL{Scheme: strings.Replace(ws.Scheme, "ws", "http", 1), Host: ws.Host, Path: metrics.Path}
	if _, err := s.Client.Get(ctx, at.String()); err == nil {
		i.add(Failed, fmt.Sprintf("the address of the WebSockets serves the metrics too, at %s", scrape.Name(at.String())), ownListener)
	}
}

// guess asks for a version of the WebSocket protocol that does not exist. A server
// answers with the versions that it speaks (RFC 6455, section 4.4), and opens no
// connection.
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

// public judges the address of the scrape. Other addresses of the same listener
// cannot be seen from outside.
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
			i.add(Warning, why+". Whether it asks for credentials cannot be told, since this check sent some", "Listen on a private address, or keep others out by a firewall")
		} else {
			i.add(Failed, why+", and asks for no credentials", "Listen on a private address, or keep others out by a firewall or by credentials")
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
