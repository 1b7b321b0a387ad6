package frameworks

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	coder "github.com/coder/websocket"
	"github.com/gin-gonic/gin"
	echo4 "github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// Handlers with the framework's own signature.
func TestNativeHandlers(t *testing.T) {
	serveWith := func(ws *otelws.Instrumentation) coderAccept { return ws.Accept }
	for name, handler := range map[string]func(accept coderAccept) http.Handler{
		"gin": func(accept coderAccept) http.Handler {
			g := gin.New()
			g.GET("/", func(c *gin.Context) { coderEcho(accept).ServeHTTP(c.Writer, c.Request) })
			return g
		},
		"echo4": func(accept coderAccept) http.Handler {
			e := echo4.New()
			e.GET("/", func(c echo4.Context) error {
				coderEcho(accept).ServeHTTP(c.Response(), c.Request())
				return nil
			})
			return e
		},
		"echo5": func(accept coderAccept) http.Handler {
			e := echo5.New()
			e.GET("/", func(c *echo5.Context) error {
				coderEcho(accept).ServeHTTP(c.Response(), c.Request())
				return nil
			})
			return e
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := otelwstest.NewMetrics(t)
			ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
			if err != nil {
				t.Fatal(err)
			}
			converse(t, m, dial(t, serve(t, handler(serveWith(ws))), 13))
			vanish(t, m, dial(t, serve(t, ws.Handler(handler(coder.Accept))), 13))
		})
	}
}

type coderAccept = func(http.ResponseWriter, *http.Request, *coder.AcceptOptions) (*coder.Conn, error)

// gin asserts interfaces of the underlying writer, also for a request that asks for a
// WebSocket.
func TestGinStream(t *testing.T) {
	g := gin.New()
	g.GET("/", func(c *gin.Context) {
		n := 0
		c.Stream(func(w io.Writer) bool {
			n++
			_, _ = fmt.Fprint(w, "x")
			return n < 3
		})
	})
	m := otelwstest.NewMetrics(t)
	ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, serve(t, ws.Handler(g)), 13)
	if c.status != http.StatusOK {
		t.Errorf("the status is %d", c.status)
	}
	_ = c.Close()
	m.Wait(t, handshakes("200"), 1)
}
