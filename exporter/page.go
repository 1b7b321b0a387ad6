package exporter

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v2"
)

// page is a page of WithPage or AddPage.
type page struct {
	path, text string
	handler    http.Handler
}

// WithPage serves h at path, beside the metrics, and puts a link with the given text on the landing
// page. It is for pages that an operator reads, such as a list of connections. path must begin with
// /debug/ and matches exactly. h gets only GET and HEAD requests. It must be safe for concurrent
// use, and must limit its own cost.
//
// Such a page tells more than metrics do. A hostile web site could read it through an operator's
// browser, by DNS rebinding. Therefore a request that [WithWebConfigFile] did not authenticate gets
// status 403, unless its Host header is localhost, an IP address or a host of [WithPageHosts]. h
// must show data that identifies a person, such as a client's address, only if [MayIdentify]
// returns true.
//
// A page that needs the Exporter's MeterProvider cannot exist before [New]. For such a page, use
// [Exporter.AddPage]. The page of otelws is an example.
func WithPage(path, text string, h http.Handler) Option {
	return optionFunc(func(c *config) { c.pages = append(c.pages, page{path, text, h}) })
}

// AddPage adds a page to an Exporter that exists already. It is like [WithPage] in everything else.
// Use it for the page with the open connections, because that page needs the MeterProvider:
//
//	exp, err := exporter.New()
//	...
//	ws, err := otelws.New(otelws.WithMeterProvider(exp.MeterProvider()))
//	...
//	err = exp.AddPage("/debug/ws", "WebSockets", ws.DebugHandler(exporter.MayIdentify))
//
// Call it before [Exporter.ListenAndServe], so that the page is there from the start. A later call
// is safe, too. If AddPage returns an error, it has added nothing.
func (e *Exporter) AddPage(path, text string, h http.Handler) error {
	return e.router.add(page{path, text, h})
}

// WithPageHosts names further hosts, without ports, whose requests for the pages need no
// authentication. An example is ws-1.internal. Everybody who can reach the listener can send
// such a Host header, and then sees everything that an operator sees, including data that
// identifies persons.
func WithPageHosts(hosts ...string) Option {
	hosts = slices.Clone(hosts)
	return optionFunc(func(c *config) { c.pageHosts = append(c.pageHosts, hosts...) })
}

type identifyKey struct{}

// MayIdentify reports whether a page of [WithPage] may show data that identifies a person, such as
// a client's address, in its answer to r. It returns true if one of these holds:
//
//   - The web configuration authenticated r, by a user or a verified client certificate.
//   - r came from this machine, through no proxy, and its Host is localhost or a loopback
//     address.
//   - The Host of r is one of [WithPageHosts].
func MayIdentify(r *http.Request) bool {
	may, _ := r.Context().Value(identifyKey{}).(bool)
	return may
}

var pagePath = regexp.MustCompile(`^/debug(/[a-zA-Z0-9_-]+)+$`)

// validate returns an error if p is invalid, or if one of others has its path.
func (p page) validate(others []page) error {
	switch {
	case !pagePath.MatchString(p.path):
		return fmt.Errorf("invalid page path %q: use /debug/ and a name of letters, digits, _ and -", p.path)
	case slices.ContainsFunc(others, func(o page) bool { return o.path == p.path }):
		return fmt.Errorf("invalid page path %q: another page has the same path", p.path)
	case strings.TrimSpace(p.text) == "":
		return fmt.Errorf("invalid page %s: give it a text for its link on the landing page", p.path)
	case p.handler == nil:
		return fmt.Errorf("invalid page %s: its handler is nil", p.path)
	}
	return nil
}

// validatePageHosts also normalizes the hosts, for comparisons.
func (c *config) validatePageHosts() error {
	for i, host := range c.pageHosts {
		name := normalHost(host)
		if name == "" || strings.ContainsAny(host, ":/ ") {
			return fmt.Errorf("invalid page host %q: use a name without a port, such as ws-1.internal", host)
		}
		c.pageHosts[i] = name
	}
	return nil
}

// pageGuard protects the pages of an Exporter; see WithPage.
type pageGuard struct {
	next          http.Handler
	hosts         []string
	webConfigFile string
}

func (g *pageGuard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := normalHost(r.Host)
	named := slices.Contains(g.hosts, host)
	authenticated := g.authenticated(r)
	if !authenticated && !named && !isLocalhost(host) && !isAddress(host) {
		http.Error(w, fmt.Sprintf("%.100q is not a known name of this host: use localhost or an IP address, add the name with WithPageHosts, or configure authentication", host), http.StatusForbidden)
		return
	}
	if authenticated || named || fromHere(r) && (isLocalhost(host) || isLoopback(host)) {
		r = r.WithContext(context.WithValue(r.Context(), identifyKey{}, true))
	}
	g.next.ServeHTTP(w, r)
}

// servedKey marks requests that passed the web configuration.
type servedKey struct{}

// authenticated reports whether the web configuration authenticated r. It reads the file again,
// because the file may have changed since the start: a server that had no users then let every
// request pass.
func (g *pageGuard) authenticated(r *http.Request) bool {
	if g.webConfigFile == "" || r.Context().Value(servedKey{}) == nil {
		return false
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return true
	}
	user, _, ok := r.BasicAuth()
	if !ok {
		return false
	}
	text, err := os.ReadFile(g.webConfigFile)
	if err != nil {
		return false
	}
	var web struct {
		Users map[string]string `yaml:"basic_auth_users"`
	}
	if yaml.Unmarshal(text, &web) != nil {
		return false
	}
	_, known := web.Users[user]
	return known
}

// fromHere reports whether r came from this machine. A request from a local proxy for another
// machine does not count.
func fromHere(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback()
}

// normalHost returns the name or the address of a Host header or of an option, without port and in
// lower case.
func normalHost(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func isLocalhost(host string) bool { return host == "localhost" }

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
