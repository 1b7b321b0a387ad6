package stack

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Addresses are the listen addresses of the parts of the stack.
type Addresses struct {
	Prometheus       string
	CollectorGRPC    string // OTLP
	CollectorHTTP    string // OTLP
	CollectorHealth  string
	CollectorMetrics string
	Jaeger           string // API and pages
	JaegerGRPC       string // API
	JaegerOTLP       string
	Demos            []DemoAddresses
}

// DemoAddresses are the listen addresses of one instance of the demo.
type DemoAddresses struct{ WebSocket, Metrics string }

// Default returns the addresses in the configuration files.
func Default() Addresses {
	return Addresses{
		Prometheus:       "localhost:9090",
		CollectorGRPC:    "localhost:4317",
		CollectorHTTP:    "localhost:4318",
		CollectorHealth:  "localhost:13133",
		CollectorMetrics: "localhost:8888",
		Jaeger:           "localhost:16686",
		JaegerGRPC:       "localhost:16685",
		JaegerOTLP:       "localhost:14317",
		Demos:            []DemoAddresses{{"localhost:8080", "localhost:9091"}, {"localhost:8081", "localhost:9092"}},
	}
}

// Free returns addresses with free ports. The ports are outside the range for
// outgoing connections, because an outgoing connection could otherwise take a port
// before its program listens.
func Free() (Addresses, error) {
	a := Default()
	for _, address := range a.all() {
		port, err := freePort()
		if err != nil {
			return Addresses{}, err
		}
		*address = fmt.Sprintf("localhost:%d", port)
	}
	return a, nil
}

var given sync.Map // ports that freePort has returned

func freePort() (port int, err error) {
	for range 100 {
		port = 10_000 + rand.N(20_000)
		if _, twice := given.LoadOrStore(port, true); twice {
			continue
		}
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("localhost:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no port is free: %w", err)
}

func (a *Addresses) all() []*string { return append(a.always(), a.ofTraces()...) }

func (a *Addresses) always() []*string {
	addresses := []*string{&a.Prometheus}
	for i := range a.Demos {
		addresses = append(addresses, &a.Demos[i].WebSocket, &a.Demos[i].Metrics)
	}
	return addresses
}

func (a *Addresses) ofTraces() []*string {
	return []*string{
		&a.CollectorGRPC, &a.CollectorHTTP, &a.CollectorHealth, &a.CollectorMetrics,
		&a.Jaeger, &a.JaegerGRPC, &a.JaegerOTLP,
	}
}

// taken returns an error for the first address on which something listens.
func taken(addresses []*string) error {
	for _, address := range addresses {
		if err := canListen(*address); err != nil {
			return fmt.Errorf("%w: end what uses it, or take free ports with -free", err)
		}
	}
	return nil
}

// canListen returns an error if something else listens on address. It tries for a second: between
// fork and exec, a process that is just starting still has the listeners that freePort has closed.
func canListen(address string) error {
	for end := time.Now().Add(time.Second); ; time.Sleep(10 * time.Millisecond) {
		l, err := net.Listen("tcp", address)
		if err == nil {
			return l.Close()
		}
		if time.Now().After(end) {
			return err
		}
	}
}
