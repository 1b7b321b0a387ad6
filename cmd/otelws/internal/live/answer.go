// Package live shows the open connections of a process in a terminal. It reads them from /debug/ws of
// that process.
package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/dial"
)

// Answer is the JSON of /debug/ws. Durations are in seconds.
type Answer struct {
	Time     time.Time `json:"time"`
	Total    int       `json:"total"`
	Matching int       `json:"matching"`
	Sums     struct {
		Connections      map[string]int64 `json:"connections"`
		MessagesReceived int64            `json:"messages_received"`
		MessagesSent     int64            `json:"messages_sent"`
		BytesReceived    int64            `json:"bytes_received"`
		BytesSent        int64            `json:"bytes_sent"`
	} `json:"sums"`
	Addresses   bool         `json:"addresses"`
	Connections []Connection `json:"connections"`
	Closed      []Connection `json:"closed"`
}

// Connection is a connection that is open or has ended.
type Connection struct {
	ID               uint64            `json:"id"`
	Role             string            `json:"role"`
	Remote           string            `json:"remote"`
	Attributes       map[string]string `json:"attributes"`
	Subprotocol      string            `json:"subprotocol"`
	State            string            `json:"state"`
	Opened           time.Time         `json:"opened"`
	Age              float64           `json:"age_seconds"`
	Idle             float64           `json:"idle_seconds"`
	MessagesReceived int64             `json:"messages_received"`
	MessagesSent     int64             `json:"messages_sent"`
	BytesReceived    int64             `json:"bytes_received"`
	BytesSent        int64             `json:"bytes_sent"`
	RTT              float64           `json:"rtt_seconds"`
	PingUnanswered   float64           `json:"ping_unanswered_seconds"`
	Writing          float64           `json:"writing_seconds"`
	TraceID          string            `json:"trace_id"`
	TCP              *TCP              `json:"tcp"`

	// Only for a connection that has ended.
	Closed    time.Time `json:"closed"`
	Code      int       `json:"code"`
	Initiator string    `json:"initiator"`
	Reason    string    `json:"reason"`
}

// TCP is the kernel's state of a connection.
type TCP struct {
	RTT          float64 `json:"rtt_seconds"`
	MinRTT       float64 `json:"min_rtt_seconds"`
	Retransmits  uint32  `json:"retransmits"`
	Unacked      uint32  `json:"unacked_segments"`
	Unsent       uint32  `json:"unsent_bytes"`
	Acked        uint64  `json:"acked_bytes"`
	PeerWindow   uint32  `json:"peer_window_bytes"`
	LastReceived float64 `json:"last_received_seconds"`
}

// Query selects the connections of an answer.
type Query struct {
	Sort   string
	N      int
	Role   string // "" for both
	Filter string
}

// Sorts are the values of Query.Sort.
var Sorts = []string{"received", "sent", "idle", "age", "rtt", "unsent", "writing"}

// Source is an address that answers queries.
type Source struct {
	HTTP    *http.Client
	Timeout time.Duration // of one request
	url     *url.URL
}

// NewSource returns the source at address, which may be the page itself, the metrics of the same
// listener, or only its host and port.
func NewSource(address string, client *http.Client, timeout time.Duration) (*Source, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("use the address of the metrics, such as http://localhost:9091")
	}
	switch u.Path {
	case "", "/", "/metrics":
		u.Path = "/debug/ws"
	}
	u.RawQuery, u.Fragment = "", ""
	return &Source{HTTP: client, Timeout: timeout, url: u}, nil
}

// String returns the address without a password.
func (s *Source) String() string { return s.url.Redacted() }

// maxAnswer is the maximum size of an answer, in bytes.
const maxAnswer = 16 << 20

// Raw returns the answer to q as JSON, with all members that the process sent. It contains no
// control characters, except white space: those that JSON allows are escaped.
func (s *Source) Raw(ctx context.Context, q Query) ([]byte, error) {
	body, err := s.fetch(ctx, q)
	if err != nil {
		return nil, err
	}
	if _, err := s.parse(body); err != nil {
		return nil, err
	}
	return []byte(escapes.Replace(strings.ToValidUTF8(string(body), "\uFFFD"))), nil
}

// escapes replaces the control characters that may be in a string of JSON.
var escapes = func() *strings.Replacer {
	var pairs []string
	for r := rune(0x7f); r < 0xa0; r++ {
		pairs = append(pairs, string(r), fmt.Sprintf(`\u%04x`, r))
	}
	return strings.NewReplacer(pairs...)
}()

// fetch returns the body of the answer to q.
func (s *Source) fetch(ctx context.Context, q Query) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	u := *s.url
	v := url.Values{"format": {"json"}, "sort": {q.Sort}, "n": {strconv.Itoa(q.N)}}
	if q.Role != "" {
		v.Set("role", q.Role)
	}
	if q.Filter != "" {
		v.Set("filter", q.Filter)
	}
	u.RawQuery = v.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.HTTP.Do(req)
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, s.explain(ctx, err)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("%s: the answer is larger than %d MiB", s, maxAnswer>>20)
	case resp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%s: not found: this process does not show its connections: add the page with AddPage of package exporter, as the documentation of DebugHandler shows", s)
	case resp.StatusCode == http.StatusUnauthorized:
		return nil, fmt.Errorf("%s: answered %s: give credentials in --http.config.file", s, resp.Status)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: answered %s: %s", s, resp.Status, clean(string(body[:min(len(body), 300)])))
	}
	return body, nil
}

// Get returns the answer to q.
func (s *Source) Get(ctx context.Context, q Query) (*Answer, error) {
	body, err := s.fetch(ctx, q)
	if err != nil {
		return nil, err
	}
	return s.parse(body)
}

func (s *Source) parse(body []byte) (*Answer, error) {
	a := &Answer{Total: -1}
	if err := json.Unmarshal(body, a); err != nil || a.Total < 0 {
		return nil, fmt.Errorf("%s: not the answer of a DebugHandler: give the address of the metrics", s)
	}
	for _, all := range [][]Connection{a.Connections, a.Closed} {
		for i := range all {
			all[i].clean()
		}
	}
	return a, nil
}

func (s *Source) explain(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%s: no answer within %v", s, s.Timeout)
	}
	return fmt.Errorf("%s: %w", s, dial.AdviseMetrics(dial.Bare(err)))
}

// clean makes text that peers have chosen safe for a terminal.
func (c *Connection) clean() {
	for _, text := range []*string{&c.Role, &c.Remote, &c.Subprotocol, &c.State, &c.TraceID, &c.Initiator, &c.Reason} {
		*text = clean(*text)
	}
	attributes := make(map[string]string, len(c.Attributes))
	for k, v := range c.Attributes {
		attributes[clean(k)] = clean(v)
	}
	c.Attributes = attributes
}

// clean returns text without control sequences for terminals.
func clean(text string) string {
	quoted := strconv.QuoteToGraphic(strings.TrimSpace(text))
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(quoted[1 : len(quoted)-1])
}
