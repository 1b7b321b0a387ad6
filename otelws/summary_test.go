package otelws_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws"
)

type closed struct {
	ctx context.Context
	otelws.Summary
}

// onClose returns an option, and a channel with the calls of its function.
func onClose() (otelws.Option, <-chan closed) {
	ended := make(chan closed, 10)
	return otelws.WithOnClose(func(ctx context.Context, s otelws.Summary) { ended <- closed{ctx, s} }), ended
}

func TestSummary(t *testing.T) {
	option, ended := onClose()
	ws, _ := newInstrumentation(t, option)
	url := serve(t, ws.Handler(echo)) + "/room?user=7"
	ctx := context.Background()

	c, _, err := ws.Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Write(ctx, websocket.MessageText, []byte("hello"))
	c.Read(ctx)
	c.Close(4000, "kicked")

	for range 2 {
		s := <-ended
		want := otelws.Summary{
			Code: 4000, Reason: "kicked", Initiator: otelws.InitiatorPeer,
			MessagesReceived: 1, MessagesSent: 1,
			BytesReceived: 2 + 4 + 5 + 2 + 4 + 8, BytesSent: 2 + 5 + 2 + 8,
		}
		if s.Client {
			want.Client, want.Initiator = true, otelws.InitiatorLocal
			want.BytesReceived, want.BytesSent = want.BytesSent, want.BytesReceived
		}
		if s.Duration <= 0 || s.Request == nil || s.Request.URL.Query().Get("user") != "7" {
			t.Errorf("the summary has duration %v and request %v", s.Duration, s.Request)
		}
		s.Duration, s.Request = 0, nil
		if s.Summary != want {
			t.Errorf("the summary is %+v, want %+v", s.Summary, want)
		}
	}
}

func TestSummaryOfAbnormalClosure(t *testing.T) {
	option, ended := onClose()
	ws, _ := newInstrumentation(t, option)
	c, _, err := websocket.Dial(context.Background(), serve(t, ws.Handler(echo)), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Write(context.Background(), websocket.MessageText, []byte("hello"))
	c.Read(context.Background())
	c.CloseNow()
	s := <-ended
	if s.Code != websocket.StatusAbnormalClosure || s.Initiator != otelws.InitiatorPeer || !errors.Is(s.Err, io.EOF) {
		t.Errorf("the summary is %+v", s.Summary)
	}
	if s.ctx.Err() != nil {
		t.Error("WithOnClose's function got a cancelled context")
	}
}

// A close code that must not be sent is not recorded as the connection's code.
func TestSummaryOfInvalidCode(t *testing.T) {
	option, ended := onClose()
	ws, m := newInstrumentation(t, option)
	client := openWire(t, startServer(t, ws, echo))
	client.send(masked(fin|opClose, closePayload(1005, "no")))
	if s := <-ended; s.Code != 0 || s.Reason != "no" || s.Initiator != otelws.InitiatorPeer {
		t.Errorf("the summary is %+v", s.Summary)
	}
	m.Wait(t, `ws_connections_closed_total{code="other"}`, 1)
	eventually(t, "the connection is in Ended", func() bool { return len(ws.Ended()) == 1 })
	if code := ws.Ended()[0].Code; code != 0 {
		t.Errorf("Ended has the code %d", code)
	}
}

// A panic in WithOnClose's function does not reach the transport.
func TestOnClosePanics(t *testing.T) {
	option, ended := onClose()
	ws, m := newInstrumentation(t, otelws.WithOnClose(func(context.Context, otelws.Summary) { panic("no") }), option)
	visit(t, serve(t, ws.Handler(echo)))
	<-ended
	m.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
}

// If a client leaves before the response, the peer ended the connection. That holds
// although the library closes the transport, because the request's context is
// cancelled.
func TestSummaryOfEarlyLeaver(t *testing.T) {
	option, ended := onClose()
	ws, _ := newInstrumentation(t, option)
	arrived := make(chan struct{})
	url := serve(t, ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		echo.ServeHTTP(w, r)
	})))
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-arrived
		cancel()
	}()
	if _, _, err := websocket.Dial(ctx, url, nil); err == nil {
		t.Fatal("the dial was not cancelled")
	}
	if s := <-ended; s.Code != websocket.StatusAbnormalClosure || s.Initiator != otelws.InitiatorPeer {
		t.Errorf("the summary is %+v", s.Summary)
	}
}

func TestLogClosed(t *testing.T) {
	var log bytes.Buffer
	option, ended := onClose()
	logger := slog.New(slog.NewTextHandler(&log, nil))
	ws, _ := newInstrumentation(t, otelws.WithOnClose(otelws.LogClosed(logger)), option)

	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws.Handler(echo).ServeHTTP(w, r.WithContext(trace.ContextWithSpanContext(r.Context(), sc)))
	}))
	visit(t, url+"/room?token=secret")
	<-ended
	for _, never := range []string{"error=", "secret"} {
		if strings.Contains(log.String(), never) {
			t.Errorf("log has %q:\n%s", never, &log)
		}
	}
	for _, want := range []string{
		`level=INFO msg="websocket closed" code=1000 initiator=peer duration=`,
		"messages_received=1 messages_sent=1 bytes_received=19 bytes_sent=11 path=/room remote_addr=127.0.0.1:",
		"trace_id=01000000000000000000000000000000 span_id=0200000000000000",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log has no %q:\n%s", want, &log)
		}
	}

	log.Reset()
	c, _, err := websocket.Dial(context.Background(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Write(context.Background(), websocket.MessageText, []byte("hello"))
	c.Read(context.Background())
	c.CloseNow()
	<-ended
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "error=EOF") {
		t.Errorf("log has no warning:\n%s", &log)
	}

	log.Reset()
	visit(t, url+"/"+strings.Repeat("%C3%BC", 10<<10))
	<-ended
	if n := log.Len(); n > 4<<10 || !strings.Contains(log.String(), "ü...") {
		t.Errorf("the path in a record of %d bytes is not cut between two letters:\n%s", n, &log)
	}
}

// An EOF is an error only without a close frame before it.
func TestLogClosedOfEOF(t *testing.T) {
	for _, closes := range []bool{true, false} {
		var log bytes.Buffer
		option, ended := onClose()
		ws, _ := newInstrumentation(t, otelws.WithOnClose(otelws.LogClosed(slog.New(slog.NewTextHandler(&log, nil)))), option)
		w := connectWireTo(t, serveRaw(t, ws.Listener, func(c net.Conn) {
			if _, err := gobwas.Upgrade(c); err == nil {
				_, _ = io.Copy(io.Discard, c)
			}
		}), false)
		w.send(handshakeRequest())
		w.answered(101)
		if closes {
			w.send(masked(fin|opClose, closePayload(1000, "")))
		}
		w.shut()
		if s := <-ended; !errors.Is(s.Err, io.EOF) {
			t.Errorf("the summary is %+v, want the error EOF", s.Summary)
		}
		if strings.Contains(log.String(), "error=EOF") == closes {
			t.Errorf("with a close frame %v, the log has\n%s", closes, &log)
		}
	}
}

// Without a logger, LogClosed uses the default at the time of the close.
func TestLogClosedByDefault(t *testing.T) {
	option, ended := onClose()
	ws, _ := newInstrumentation(t, otelws.WithOnClose(otelws.LogClosed(nil)), option)
	var log bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	visit(t, serve(t, ws.Handler(echo)))
	<-ended
	if !strings.Contains(log.String(), `msg="websocket closed" code=1000`) {
		t.Errorf("the default logger has\n%s", &log)
	}
}

// WithOnClose's function runs after the transport is closed, so that it holds no
// descriptor.
func TestOnCloseAfterTransport(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	told := make(chan error, 1)
	ws, _ := newInstrumentation(t, otelws.WithOnClose(func(context.Context, otelws.Summary) {
		_ = far.SetReadDeadline(time.Now().Add(waitLimit))
		_, err := io.Copy(io.Discard, far)
		told <- err
	}))
	c, err := ws.Accept(pipeWriter{httptest.NewRecorder(), near}, upgrade(), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.CloseNow()
	if err := <-told; err != nil {
		t.Errorf("the transport was still open: %v", err)
	}
}
