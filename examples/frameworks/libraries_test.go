package frameworks

import (
	"context"
	"io"
	"net/http"

	coder "github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	nbio "github.com/lesismal/nbio/nbhttp/websocket"
	"github.com/lxzan/gws"
	"github.com/olahol/melody"
	xnet "golang.org/x/net/websocket"

	"github.com/otelws/otelws-go/otelws"
)

// greeting is the first message of a server.
const greeting = "welcome"

// maxMessage is a message limit for libraries whose default is too low for these
// tests.
const maxMessage = 1 << 20

// libraries are echo servers that send a greeting first, written as users of each
// library would.
var libraries = []struct {
	name string
	echo http.Handler
}{
	{"coder", coderEcho(coder.Accept)},
	{"gorilla", http.HandlerFunc(gorillaEcho)},
	{"gobwas", http.HandlerFunc(gobwasEcho)},
	{"gws", http.HandlerFunc(gwsEcho)},
	{"x-net", xnet.Server{Handler: xnetEcho}},
	{"melody", melodyEcho()},
	{"nbio", nbioEcho()},
}

func coderEcho(accept coderAccept) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		c.SetReadLimit(maxMessage)
		ctx := context.Background()
		typ, b := coder.MessageText, []byte(greeting)
		for err == nil {
			if err = c.Write(ctx, typ, b); err == nil {
				typ, b, err = c.Read(ctx)
			}
		}
	})
}

func acceptEcho(ws *otelws.Instrumentation) http.Handler { return coderEcho(ws.Accept) }

func gorillaEcho(w http.ResponseWriter, r *http.Request) {
	var u gorilla.Upgrader
	c, err := u.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	typ, b := gorilla.TextMessage, []byte(greeting)
	for err == nil {
		if err = c.WriteMessage(typ, b); err == nil {
			typ, b, err = c.ReadMessage()
		}
	}
}

func gobwasEcho(w http.ResponseWriter, r *http.Request) {
	c, brw, _, err := gobwas.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	rw := struct {
		io.Reader
		io.Writer
	}{brw, c}
	op, b := gobwas.OpText, []byte(greeting)
	for err == nil {
		if err = wsutil.WriteServerMessage(rw, op, b); err == nil {
			b, op, err = wsutil.ReadClientData(rw)
		}
	}
}

type gwsHandler struct{ gws.BuiltinEventHandler }

func (gwsHandler) OnOpen(c *gws.Conn) { _ = c.WriteMessage(gws.OpcodeText, []byte(greeting)) }

func (gwsHandler) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }

func (gwsHandler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }()
	_ = c.WriteMessage(m.Opcode, m.Bytes())
}

var gwsUpgrader = gws.NewUpgrader(gwsHandler{}, &gws.ServerOption{ReadMaxPayloadSize: maxMessage})

func gwsEcho(w http.ResponseWriter, r *http.Request) {
	if c, err := gwsUpgrader.Upgrade(w, r); err == nil {
		c.ReadLoop()
	}
}

func xnetEcho(c *xnet.Conn) {
	b, err := []byte(greeting), error(nil)
	for err == nil {
		if err = xnet.Message.Send(c, b); err == nil {
			err = xnet.Message.Receive(c, &b)
		}
	}
}

func melodyEcho() http.Handler {
	m := melody.New()
	m.Config.MaxMessageSize = maxMessage
	m.HandleConnect(func(s *melody.Session) { _ = s.Write([]byte(greeting)) })
	m.HandleMessage(func(s *melody.Session, b []byte) { _ = s.Write(b) })
	m.HandleMessageBinary(func(s *melody.Session, b []byte) { _ = s.WriteBinary(b) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = m.HandleRequest(w, r) })
}

func nbioEcho() http.Handler {
	u := nbioUpgrader()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = u.Upgrade(w, r, nil) })
}

func nbioUpgrader() *nbio.Upgrader {
	u := nbio.NewUpgrader()
	u.OnOpen(func(c *nbio.Conn) { _ = c.WriteMessage(nbio.TextMessage, []byte(greeting)) })
	u.OnMessage(func(c *nbio.Conn, typ nbio.MessageType, b []byte) { _ = c.WriteMessage(typ, b) })
	return u
}
