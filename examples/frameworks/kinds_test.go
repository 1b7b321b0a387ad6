package frameworks

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

// nodeModules names the variable with a node_modules directory that contains the
// clients.
const nodeModules = "OTELWS_NODE_MODULES"

// Clients of each protocol talk to a server through a tapped proxy. The proxy must
// count the kinds of their messages as the clients do.
func TestMessageKindsOfClients(t *testing.T) {
	for _, tt := range []struct {
		script, packages string
		reader           messagekind.Reader
		declared         []string
		least            string // kinds that the conversation must contain
	}{
		{"graphql", "graphql graphql-ws", messagekind.GraphQLTransportWS(), nil, "connection_init connection_ack subscribe next complete error ping pong"},
		{"socketio", "socket.io socket.io-client", messagekind.SocketIO(), []string{"chat message", "typing", "file"},
			"open ping pong CONNECT DISCONNECT EVENT ACK CONNECT_ERROR attachment typing file"},
		{"stomp", "@stomp/stompjs", messagekind.STOMP(), nil, "CONNECT CONNECTED SEND SUBSCRIBE UNSUBSCRIBE ACK BEGIN COMMIT ABORT MESSAGE ERROR heart-beat"},
		{"mqtt", "mqtt aedes", messagekind.MQTT(), nil,
			"CONNECT CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK PINGREQ PINGRESP DISCONNECT none"},
		{"signalr", "@microsoft/signalr", messagekind.SignalR().Within(16 << 10), nil,
			"Invocation StreamItem Completion StreamInvocation CancelInvocation Ping Close HandshakeRequest HandshakeResponse"},
		{"phoenix", "phoenix", messagekind.Phoenix(), []string{"new_msg"}, "phx_join phx_leave phx_reply heartbeat presence_state new_msg other"},
	} {
		for _, mode := range []string{"plain", "takeover", "alone"} {
			t.Run(tt.script+"/"+mode, func(t *testing.T) {
				t.Parallel()
				modules := requirePackages(t, strings.Fields("ws "+tt.packages))
				m := otelwstest.NewMetrics(t)
				ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()), otelws.WithMessageKinds(tt.reader, tt.declared...), otelws.WithDecodedSizes())
				if err != nil {
					t.Fatal(err)
				}
				said := runClient(t, ws, modules, tt.script, mode)
				t.Cleanup(func() {
					if t.Failed() {
						t.Logf("the client says %+v; counted:\n%s", said, m.Changed())
					}
				})
				other := map[string]string{"receive": "transmit", "transmit": "receive"} // the backend's side sees the opposite direction
				all := make(map[string]int)
				for direction, kinds := range map[string]map[string]int{"receive": said.Sent, "transmit": said.Received} {
					for kind, n := range kinds {
						all[kind] += n
						m.Wait(t, fmt.Sprintf(`ws_messages_total{kind=%q,network_io_direction=%q}`, kind, direction), float64(n))
						m.Wait(t, fmt.Sprintf(`ws_client_messages_total{kind=%q,network_io_direction=%q}`, kind, other[direction]), float64(n))
					}
				}
				for _, kind := range strings.Fields(tt.least) {
					if all[kind] == 0 {
						t.Errorf("the client has no %s", kind)
					}
				}
				for _, direction := range []string{"receive", "transmit"} {
					n, _ := m.Value(fmt.Sprintf("ws_compression_wire_bytes_total{network_io_direction=%q}", direction))
					if (n > 0) != (mode != "plain") {
						t.Errorf("%v bytes of compressed messages, %s", n, direction)
					}
				}
				// No other kind is counted, on either side of the proxy.
				for _, side := range []string{"ws", "ws_client"} {
					for direction, kinds := range map[string]map[string]int{
						"receive": said.Sent, "transmit": said.Received,
					} {
						if side == "ws_client" {
							direction = other[direction]
						}
						for line := range strings.Lines(m.Changed()) {
							name, rest, _ := strings.Cut(line, `_messages_total{kind="`)
							kind, rest, ok := strings.Cut(rest, `",network_io_direction="`+direction+`"} `)
							if ok && name == side && strings.TrimSpace(rest) != fmt.Sprint(kinds[kind]) {
								t.Errorf("counted %s; the client says %d", strings.TrimSpace(line), kinds[kind])
							}
						}
					}
				}
			})
		}
	}
}

// requirePackages returns the directory with the packages. It skips the test if one
// is missing.
func requirePackages(t *testing.T, packages []string) (modules string) {
	t.Helper()
	modules = os.Getenv(nodeModules)
	if modules == "" {
		t.Skipf("needs node, and %s set to a node_modules directory that holds %s", nodeModules, strings.Join(packages, ", "))
	}
	modules, err := filepath.Abs(modules)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages {
		if _, err := os.Stat(filepath.Join(modules, p, "package.json")); err != nil {
			t.Skipf("needs the npm package %s in %s", p, modules)
		}
	}
	return modules
}

// said are the numbers of messages that a client reports, by kind.
type said struct{ Sent, Received map[string]int }

// runClient runs a script of testdata/kinds. Its client dials the proxy in front of
// its server.
func runClient(t *testing.T, ws *otelws.Instrumentation, modules, script, mode string) (counts said) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", script+".js")
	cmd.Dir = filepath.Join("testdata", "kinds")
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules, "MODE="+mode)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	next := func() string {
		if !lines.Scan() {
			_ = cmd.Wait()
			t.Fatalf("the script has ended: %s", stderr.String())
		}
		return lines.Text()
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "127.0.0.1:" + next()})
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	proxy.Transport = ws.Transport(transport)
	s := httptest.NewServer(ws.Handler(proxy))
	t.Cleanup(s.Close)
	fmt.Fprintln(stdin, "ws"+strings.TrimPrefix(s.URL, "http"))
	if err := json.Unmarshal([]byte(next()), &counts); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return counts
}
