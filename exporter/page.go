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

// page is what WithPage mounts.
type page struct {
	path, text string
	handler    http.Handler
}

// WithPage has h answer GET and HEAD on exactly path, which begins with /debug/, beside the metrics,
// and puts a link with that text on the landing page. It is for what an operator looks at and
// Prometheus does not: h must be safe for concurrent use, and bounds its own cost.
//
// Such a page tells more than metrics do, and a browser that may read it can be made to do so by a
// page of another site whose name has been pointed at this host. So, without authentication by
// [WithWebConfigFile], a request gets 403 unless its Host is localhost, an IP address or one of
// [WithPageHosts]. What says who somebody is h shows only where [MayIdentify] agrees.
//
// As with [WithReadiness], h may be one that is known later than the Exporter, and answers 503 until
// then.
func WithPage(path, text string, h http.Handler) Option {
	return optionFunc(func(c *config) { c.pages = append(c.pages, page{path, text, h}) })
}

// WithPageHosts names the hosts, without ports, by which the pages of [WithPage] are asked for
// without authentication, such as ws-1.internal. Whoever reaches the listener can ask by such a
// name, and is shown what the pages show to an operator.
func WithPageHosts(hosts ...string) Option {
	hosts = slices.Clone(hosts)
	return optionFunc(func(c *config) { c.pageHosts = append(c.pageHosts, hosts...) })
}

type identifyKey struct{}

// MayIdentify says whether the answer to r may say who somebody is, such as the address of a client.
// That is so for a request for a page of [WithPage] which the web configuration has authenticated, as
// a user or by a verified client certificate; which came from this machine and asks for localhost or
// another loopback address; or which asks for one of [WithPageHosts]. It is false for any other
// request.
func MayIdentify(r *http.Request) bool {
	may, _ := r.Context().Value(identifyKey{}).(bool)
	return may
}

var pagePath = regexp.MustCompile(`^/debug(/[a-zA-Z0-9_-]+)+$`)

// validatePages also brings the hosts into the form that they are compared in.
func (c *config) validatePages() error {
	var taken []string
	for _, p := range c.pages {
		switch {
		case !pagePath.MatchString(p.path):
			return fmt.Errorf("invalid path %q of a page: use /debug/ and a name of letters, digits, _ and -", p.path)
		case slices.Contains(taken, p.path):
			return fmt.Errorf("invalid path %q of a page: another page has it", p.path)
		case strings.TrimSpace(p.text) == "":
			return fmt.Errorf("invalid page %s: its link on the landing page has no text", p.path)
		case p.handler == nil:
			return fmt.Errorf("invalid page %s: its handler is nil", p.path)
		}
		taken = append(taken, p.path)
	}
	for i, host := range c.pageHosts {
		name := normalHost(host)
		if name == "" || strings.ContainsAny(host, ":/ ") {
			return fmt.Errorf("invalid host %q of pages: use a name without a port, such as ws-1.internal", host)
		}
		c.pageHosts[i] = name
	}
	return nil
}

// pageGuard is what stands before the pages of an Exporter.
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
		http.Error(w, fmt.Sprintf("%.100q is no known name of this host: ask by localhost or an address, have the service name its host, or configure authentication", host), http.StatusForbidden)
		return
	}
	if authenticated || named || fromHere(r) && (isLocalhost(host) || isLoopback(host)) {
		r = r.WithContext(context.WithValue(r.Context(), identifyKey{}, true))
	}
	g.next.ServeHTTP(w, r)
}

// servedKey marks the requests that have come through the web configuration.
type servedKey struct{}

// authenticated says whether the web configuration knows who asks: a request that came through it
// has been let in, and it is asked again since it may change while serving.
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

// fromHere says whether r came from this machine, and from no proxy that says it asks for another.
func fromHere(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback()
}

// normalHost returns the name or the address in a Host header, or in an option.
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
