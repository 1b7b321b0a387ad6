// Command tracing runs two services, a shop that asks for prices over a WebSocket and a price
// service, and prints the trace that goes through both.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/tracing"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run runs the two services. Each has its own providers, as if it ran on another machine. Only the
// handshake and the messages connect them.
func run(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	p := &printer{out: out}
	prices, shop := p.provider("prices"), p.provider("shop")

	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return err
	}
	handler, err := pricesHandler(prices)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	defer srv.Close()
	go srv.Serve(l)
	err = checkout(ctx, shop, "ws://"+l.Addr().String())
	return errors.Join(err, shop.Shutdown(ctx), prices.Shutdown(ctx))
}

// pricesHandler answers each message in the trace of its sender. It trusts the context in messages,
// because only services of its own company connect.
func pricesHandler(tp *sdktrace.TracerProvider) (http.Handler, error) {
	ws, err := otelws.New(otelws.WithTracerProvider(tp), otelws.WithPropagator(propagation.TraceContext{}))
	if err != nil {
		return nil, err
	}
	tr, err := tracing.New(tracing.WithTracerProvider(tp))
	if err != nil {
		return nil, err
	}
	return ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: tracing.Subprotocols("prices")})
		if err != nil {
			return
		}
		defer c.CloseNow()
		conn, err := tr.Conn(r.Context(), c, tracing.TrustPeer(), tracing.Destination("/prices"))
		if err != nil {
			return
		}
		_ = conn.Serve(r.Context(), func(ctx context.Context, typ websocket.MessageType, item []byte) error {
			ctx, span := tp.Tracer("prices").Start(ctx, "look up "+string(item))
			defer span.End()
			return conn.Send(ctx, typ, []byte("4.50"))
		})
	})), nil
}

var errAnswered = errors.New("answered")

// checkout requests one price.
func checkout(ctx context.Context, tp *sdktrace.TracerProvider, url string) error {
	ws, err := otelws.New(otelws.WithTracerProvider(tp), otelws.WithPropagator(propagation.TraceContext{}))
	if err != nil {
		return err
	}
	tr, err := tracing.New(tracing.WithTracerProvider(tp))
	if err != nil {
		return err
	}
	ctx, span := tp.Tracer("shop").Start(ctx, "checkout")
	defer span.End()

	c, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient:   &http.Client{Transport: ws.Transport(nil)},
		Subprotocols: tracing.Subprotocols("prices"),
	})
	if err != nil {
		return err
	}
	defer c.CloseNow()
	conn, err := tr.Conn(resp.Request.Context(), c, tracing.Dialed(), tracing.TrustPeer(), tracing.Destination("/prices"))
	if err != nil {
		return err
	}

	if err := conn.Send(ctx, websocket.MessageText, []byte("tea")); err != nil {
		return err
	}
	err = conn.Serve(ctx, func(_ context.Context, _ websocket.MessageType, price []byte) error {
		span.AddEvent("price is " + string(price))
		return errAnswered
	})
	if err != errAnswered {
		return err
	}
	return c.Close(websocket.StatusNormalClosure, "")
}

// printer prints the spans of several services, one line for each span that ends. A real service
// exports its spans instead.
type printer struct {
	mu  sync.Mutex
	out io.Writer
}

func (p *printer) provider(service string) *sdktrace.TracerProvider {
	return sdktrace.NewTracerProvider(sdktrace.WithSyncer(serviceExporter{p, service}))
}

type serviceExporter struct {
	*printer
	service string
}

func (e serviceExporter) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range spans {
		fmt.Fprintf(e.out, "trace=%s span=%s parent=%s %s: %s %s\n", s.SpanContext().TraceID(),
			s.SpanContext().SpanID(), s.Parent().SpanID(), e.service, s.SpanKind(), s.Name())
	}
	return nil
}

func (serviceExporter) Shutdown(context.Context) error { return nil }
