package proxy

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// loopLookup is the maximum time to resolve the name of the backend.
const loopLookup = 2 * time.Second

// CheckLoop returns an error if the backend is l, a listener of this process.
// Requests would loop until no descriptors are left, and the metrics could become
// public.
func (p *Proxy) CheckLoop(ctx context.Context, l net.Listener) error {
	own, ok := l.Addr().(*net.TCPAddr)
	if !ok || p.target.network != "tcp" {
		return nil
	}
	host, port, _ := net.SplitHostPort(p.target.address)
	if n, _ := strconv.Atoi(port); n != own.Port {
		if n, err := net.DefaultResolver.LookupPort(ctx, "tcp", port); err != nil || n != own.Port {
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, loopLookup)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil // the requests report it
	}
	if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return reaches(a.Unmap(), own.AddrPort().Addr().Unmap()) }) {
		return fmt.Errorf("backend %s is %s, on which this process itself listens: use the address of your server", p.target, own)
	}
	return nil
}

// reaches reports whether a listener on own accepts a connection to a.
func reaches(a, own netip.Addr) bool {
	switch {
	case a == own:
		return true
	case a.IsUnspecified(): // a dialer connects to this machine
		return own.IsUnspecified() || own.IsLoopback()
	case !own.IsUnspecified():
		return false
	}
	if a.IsLoopback() {
		return true
	}
	interfaces, _ := net.InterfaceAddrs()
	return slices.ContainsFunc(interfaces, func(i net.Addr) bool {
		n, ok := i.(*net.IPNet)
		return ok && n.IP.Equal(a.AsSlice())
	})
}
