// Package hops knows after which time proxies and balancers end a connection, as
// they come.
package hops

import "math"

// Limit is a time after which something between two peers ends a connection.
type Limit struct {
	Seconds float64
	Known   string // what has that limit
}

// Idle are limits on silence, from the shortest on.
var Idle = []Limit{
	{30, "HAProxy and many proxies as they are often set up"},
	{55, "the router of Heroku"},
	{60, "nginx's proxy_read_timeout, the AWS Application Load Balancer"},
	{100, "Cloudflare"},
	{240, "the Azure Load Balancer, which tells nobody"},
	{350, "the AWS Network Load Balancer"},
	{600, "the AWS API Gateway, the Google Cloud TCP load balancers"},
}

// Life are limits on the life of a connection, which no ping extends.
var Life = []Limit{
	{30, "the backend timeout of the Google Cloud Application Load Balancer"},
	{3600, "Google Cloud Run as it can be set"},
	{7200, "the AWS API Gateway"},
}

// Near returns what has a limit that was measured, "" where nothing is known.
func Near(limits []Limit, seconds float64) string {
	for _, l := range limits {
		if math.Abs(seconds-l.Seconds) <= l.Seconds*.03 {
			return l.Known
		}
	}
	return ""
}

// Heartbeat returns the time from one ping to the next that keeps a connection
// through a hop with a limit on silence: three quarters of it, rounded down.
func Heartbeat(limit float64) float64 {
	every := limit * 3 / 4
	switch {
	case every >= 5:
		return math.Floor(every)
	case every >= .5:
		return math.Floor(every*2) / 2
	}
	return every
}
