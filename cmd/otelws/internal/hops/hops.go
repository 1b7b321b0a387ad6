// Package hops lists the connection limits of common proxies and load balancers with
// their default settings.
package hops

import "math"

// Limit is a time after which a hop between two peers ends a connection.
type Limit struct {
	Seconds float64
	Known   string // the products with this limit
}

// Idle are limits on silence, in ascending order.
var Idle = []Limit{
	{30, "HAProxy and other proxies in common configurations"},
	{55, "the Heroku router"},
	{60, "nginx's proxy_read_timeout, the AWS Application Load Balancer"},
	{100, "Cloudflare"},
	{240, "the Azure Load Balancer, which drops connections silently"},
	{350, "the AWS Network Load Balancer"},
	{600, "the AWS API Gateway, the Google Cloud TCP load balancers"},
}

// Life are limits on the age of a connection. Pings do not extend it.
var Life = []Limit{
	{30, "the backend timeout of the Google Cloud Application Load Balancer"},
	{3600, "the maximum timeout of Google Cloud Run"},
	{7200, "the AWS API Gateway"},
}

// Near returns the products with a limit close to a measured one, or "".
func Near(limits []Limit, seconds float64) string {
	for _, l := range limits {
		if math.Abs(seconds-l.Seconds) <= l.Seconds*.03 {
			return l.Known
		}
	}
	return ""
}

// Heartbeat returns the ping interval that keeps a connection open through a hop with
// a limit on silence: three quarters of the limit, rounded down.
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
