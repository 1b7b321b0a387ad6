package frameworks

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cloudwego/hertz/pkg/app"
	"github.com/cloudwego/hertz/pkg/app/server"
	"github.com/cloudwego/hertz/pkg/common/hlog"
	"github.com/cloudwego/hertz/pkg/network"
	"github.com/cloudwego/hertz/pkg/network/standard"
	fastwebsocket "github.com/fasthttp/websocket"
	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/gofiber/fiber/v3"
	"github.com/lxzan/gws"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// listenerServers are servers that do not use net/http, and the server of net/http.
// Each sends a greeting and echoes messages. serve returns when the listener is
// closed.
var listenerServers = []struct {
	name  string
	serve func(l net.Listener)
}{
	{"fiber", func(l net.Listener) {
		app := fiber.New()
		app.Get("/", func(c fiber.Ctx) error { return fastUpgrader.Upgrade(c.RequestCtx(), fastEcho) })
		_ = app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true})
	}},
	{"fasthttp", func(l net.Listener) {
		s := fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { _ = fastUpgrader.Upgrade(ctx, fastEcho) }}
		_ = s.Serve(l)
	}},
	{"fasthttp, bodies as streams", func(l net.Listener) {
		s := fasthttp.Server{StreamRequestBody: true, ReduceMemoryUsage: true,
			Handler: func(ctx *fasthttp.RequestCtx) { _ = fastUpgrader.Upgrade(ctx, fastEcho) }}
		_ = s.Serve(l)
	}},
	{"fasthttp's adaptor of net-http", func(l net.Listener) {
		s := fasthttp.Server{Handler: fasthttpadaptor.NewFastHTTPHandlerFunc(gorillaEcho)}
		_ = s.Serve(l)
	}},
	{"gobwas", func(l net.Listener) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go gobwasRaw(c)
		}
	}},
	{"gws", func(l net.Listener) {
		s := gws.NewServer(gwsHandler{}, &gws.ServerOption{ReadMaxPayloadSize: maxMessage})
		s.OnError = func(net.Conn, error) {}
		_ = s.RunListener(onceClosed{l, make(chan struct{})})
	}},
	{"hertz", func(l net.Listener) {
		h := server.New(server.WithListener(l), server.WithTransport(standard.NewTransporter))
		h.GET("/", hertzEcho)
		_ = h.Run()
	}},
	{"net-http", func(l net.Listener) { _ = http.Serve(l, http.HandlerFunc(gorillaEcho)) }},
}

var fastUpgrader = fastwebsocket.FastHTTPUpgrader{CheckOrigin: func(*fasthttp.RequestCtx) bool { return true }}

func fastEcho(c *fastwebsocket.Conn) {
	typ, b, err := fastwebsocket.TextMessage, []byte(greeting), error(nil)
	for err == nil {
		if err = c.WriteMessage(typ, b); err == nil {
			typ, b, err = c.ReadMessage()
		}
	}
}

func gobwasRaw(c net.Conn) {
	defer func() { _ = c.Close() }()
	if _, err := gobwas.Upgrade(c); err == nil {
		gobwasServe(c)
	}
}

// hertzEcho answers the handshake itself, and hijacks the connection.
func hertzEcho(_ context.Context, ctx *app.RequestContext) {
	ctx.SetStatusCode(http.StatusSwitchingProtocols)
	ctx.Response.Header.SetNoDefaultContentType(true)
	ctx.Header("Upgrade", "websocket")
	ctx.Header("Connection", "Upgrade")
	ctx.Header("Sec-WebSocket-Accept", acceptKey(string(ctx.GetHeader("Sec-WebSocket-Key"))))
	ctx.Hijack(func(c network.Conn) { gobwasServe(c) })
}

func gobwasServe(c net.Conn) {
	op, b, err := gobwas.OpText, []byte(greeting), error(nil)
	for err == nil {
		if err = wsutil.WriteServerMessage(c, op, b); err == nil {
			b, op, err = wsutil.ReadClientData(c)
		}
	}
}

// onceClosed is a Listener whose Accept blocks forever after Close. gws would
// otherwise call Accept in a loop.
type onceClosed struct {
	net.Listener
	never chan struct{}
}

func (l onceClosed) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if errors.Is(err, net.ErrClosed) {
		<-l.never
	}
	return c, err
}

// A Listener counts the connections of each server to the byte, with and without TLS
// above it.
func TestListeners(t *testing.T) {
	hlog.SetLevel(hlog.LevelFatal)
	for _, s := range listenerServers {
		for name, withTLS := range map[string]bool{"plain": false, "TLS": true} {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				m := otelwstest.NewMetrics(t)
				ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
				if err != nil {
					t.Fatal(err)
				}
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = l.Close() }()
				address := l.Addr().String()
				if withTLS {
					certified := httptest.NewTLSServer(nil)
					certified.Close()
					l = tls.NewListener(l, &tls.Config{Certificates: certified.TLS.Certificates})
				}
				go s.serve(ws.Listener(l))
				open := func() *client {
					nc, err := net.Dial("tcp", address)
					if err != nil {
						t.Fatal(err)
					}
					if withTLS {
						nc = tls.Client(nc, insecure)
					}
					return ask(t, nc, 13)
				}
				converse(t, m, open())
				vanish(t, m, open())
			})
		}
	}
}
