package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestDemoPages(t *testing.T) {
	r := startDemo(t, demo{})
	index := get(t, r.page())
	if index.status != http.StatusOK || !strings.Contains(index.body, r.metrics) {
		t.Errorf("index: status %d, and it names %s: %v", index.status, r.metrics, strings.Contains(index.body, r.metrics))
	}
	for _, file := range []string{"", "page/style.css", "page/main.js", "page/uplot/uPlot.iife.min.js", "page/uplot/LICENSE"} {
		resp := get(t, r.page()+file)
		if policy := resp.header.Get("Content-Security-Policy"); resp.status != http.StatusOK || !strings.HasPrefix(policy, "default-src 'none'") {
			t.Errorf("/%s: status %d, policy %q", file, resp.status, policy)
		}
	}
	for _, path := range []string{"index.html", "page/", "page/index.html", "metrics", "echo/", "favicon.ico"} {
		if resp := get(t, r.page()+path); resp.status != http.StatusNotFound {
			t.Errorf("/%s: status %d, want 404", path, resp.status)
		}
	}
	if resp := get(t, r.page()+"echo"); resp.status != http.StatusUpgradeRequired {
		t.Errorf("/echo without an upgrade: status %d, want 426", resp.status)
	}
	if resp := get(t, r.page()+"signals?since=yesterday"); resp.status != http.StatusBadRequest {
		t.Errorf("/signals since yesterday: status %d, want 400", resp.status)
	}
}

func TestDemoDrops(t *testing.T) {
	r := startDemo(t, demo{})
	cut := r.dial(t, "/echo?id=a")
	kept := r.dial(t, "/room?id=b")
	// A connection is registered under its id once it gets an answer.
	for _, c := range []*websocket.Conn{cut, kept} {
		check(t, c.Write(testContext(t), websocket.MessageText, []byte("hello")))
		_, _, err := c.Read(testContext(t))
		check(t, err)
	}
	post(t, r.page()+"cut", "", url.Values{"id": {"a", "nobody"}}, http.StatusNoContent)
	if _, _, err := cut.Read(testContext(t)); err == nil || websocket.CloseStatus(err) != -1 {
		t.Errorf("Read of a connection that was cut: %v, want no close frame", err)
	}
	post(t, r.page()+"vanish", "", nil, http.StatusNoContent)
	r.waitForValue(t, `ws_connection_duration_seconds_count{code="1006",initiator="local"}`, 1)
	r.waitForValue(t, `ws_connection_duration_seconds_count{code="1006",initiator="peer"}`, 1)

	post(t, r.page()+"cut", "https://elsewhere.example", url.Values{"id": {"b"}}, http.StatusForbidden)
	check(t, kept.Write(testContext(t), websocket.MessageText, []byte("still here")))
	if _, _, err := kept.Read(testContext(t)); err != nil {
		t.Errorf("a page of another origin cut a connection: %v", err)
	}
}

func post(t *testing.T, url, origin string, form url.Values, want int) {
	t.Helper()
	r, err := http.NewRequestWithContext(testContext(t), http.MethodPost, url, strings.NewReader(form.Encode()))
	check(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	check(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != want {
		t.Errorf("POST %s: %s, want %d", url, resp.Status, want)
	}
}

// The page plots the values of the scrape. If a counter began at 0 within the last
// minute, its rate over a minute is its value / 60.
func TestPage(t *testing.T) {
	r := startDemo(t, demo{heartbeat: 200 * time.Millisecond})
	b := startBrowser(t, r.page())
	b.waitFor(`/echo`, "active", 0)

	b.fill("#open [name=count]", "4")
	b.click("#open button")
	b.waitFor("/echo", "active", 4)
	b.click("#open [value='/room']")
	b.fill("#open [name=count]", "1")
	b.click("#open button")
	b.waitFor("/room", "active", 1)

	// The histogram has no series before its first message, so rate() does not see
	// that message.
	b.fill("#send [name=size]", "1000")
	b.click("#send .primary")
	b.waitUntil(`document.querySelector("#received").textContent === "5"`)
	r.waitForValue(t, "ws_message_bytes_count", 5)
	b.waitForScrapes(2)
	b.click("#send [value=binary]")
	b.click("#send .primary")
	r.waitForValue(t, "ws_message_bytes_count", 10)
	b.waitFor("p50", "message", 256+0.5*(1024-256))
	b.waitFor("p95", "message", 256+0.95*(1024-256))

	b.click("#end [value=close]")
	b.click("#end [value=cut]")
	b.click("#end [value=vanish]")
	b.fill("#end select", "4000")
	b.click("#end [value=all]")
	b.click("#end [value=close]")
	b.waitFor("/echo", "active", 0)
	b.waitFor("/room", "active", 0)
	after := r.scrape(t)
	closed := func(code string) float64 {
		return after[`ws_connections_closed_total{code="`+code+`",http_route="/echo"}`] +
			after[`ws_connections_closed_total{code="`+code+`",http_route="/room"}`]
	}
	for code, want := range map[string]float64{"1000": 1, "1006": 2, "4000": 3, "1001": 0} {
		if closed(code) != want {
			t.Errorf("closed with %s: %v, want %v", code, closed(code), want)
		}
		if code != "4000" { // its series began above 0
			b.waitFor(code, "closed", want/60)
		}
	}
	b.waitFor("/echo", "opened", after[`ws_connections_opened_total{http_route="/echo"}`]/60)
	b.waitUntil(plotted("p50", "heartbeat") + " > 0")
	if len(b.log) > 0 {
		t.Errorf("the page complained: %v", b.log)
	}
}

func TestPageOutlivesServer(t *testing.T) {
	d := demo{listen: freeAddress(t)}
	r := startDemo(t, d)
	b := startBrowser(t, r.page())
	b.waitFor("/echo", "active", 0)
	b.fill("#open [name=count]", "2")
	b.click("#open button")
	b.waitFor("/echo", "active", 2)
	check(t, r.stop())
	b.waitUntil(`document.querySelector("#state").dataset.state === "away"`)
	b.waitUntil(plotted("/echo", "active") + " === undefined")
	startDemo(t, d)
	b.waitUntil(`document.querySelector("#state").dataset.state === "up"`)
	b.waitFor("/echo", "active", 0)
	b.waitFor("/echo", "opened", 2.0/60) // two connections opened before the restart, none since
}

// The expected values come from Prometheus 3.16, with the same samples and queries.
func TestPageComputesAsPrometheus(t *testing.T) {
	r := startDemo(t, demo{})
	b := startBrowser(t, r.page())
	b.waitFor("/echo", "active", 0)
	for _, tt := range []struct {
		name, points string // points of the series x
		window, at   int
		want         float64
	}{
		{"steady", "Array.from({length: 61}, (_, t) => [t, 5 * t])", 60, 60, 5},
		{"begins late", "Array.from({length: 11}, (_, i) => [50 + i, 100 + 3 * (50 + i)])", 60, 60, 0.525},
		{"restart", "[[0, 10], [15, 40], [30, 5], [45, 25], [60, 30]]", 60, 60, 2. / 3},
		{"ends early", "[[0, 0], [10, 4], [20, 9]]", 60, 60, 0.19166666666666665},
		{"begins at 0", "[[52, 0], [53, 0], [54, 2], [60, 2]]", 60, 60, 1. / 30},
		{"one point", "[[60, 7]]", 60, 60, math.NaN()},
		{"longer than the series", "[[0, 10], [15, 40], [30, 5], [45, 25], [60, 30]]", 300, 75, 0.275},
	} {
		got := eval[[]float64](b, fmt.Sprintf(`(async () => {
			const {History} = await import("/page/history.js");
			const {rate} = await import("/page/promql.js");
			const history = new History(900);
			for (const [t, value] of %s) history.add(1000 + t, [{name: "x", labels: {}, value}]);
			return rate("x").at(history, 1000 + %d, %d).map(({value}) => value);
		})()`, tt.points, tt.at, tt.window))
		if math.IsNaN(tt.want) && len(got) == 0 {
			continue
		}
		if len(got) != 1 || math.Abs(got[0]-tt.want) > 1e-12 {
			t.Errorf("rate of one that %s: %v, want %v", tt.name, got, tt.want)
		}
	}
	for q, want := range map[float64]float64{0: 0, 0.1: 25.6, 0.5: 160, 0.8: 563.2, 0.95: 1024, 1: 1024} {
		got := eval[float64](b, fmt.Sprintf(`(async () => {
			const {histogramQuantile} = await import("/page/promql.js");
			const vector = [["64", 10], ["256", 30], ["1024", 35], ["+Inf", 40]].map(([le, value]) => ({labels: {le}, value}));
			return histogramQuantile(%v, {at: () => vector}).at()[0].value;
		})()`, q))
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
	got := eval[string](b, `import("/page/promql.js").then(({metric, sumBy}) => {
		const history = {instant: () => [{labels: {code: "1006", by: "peer"}, value: 2}, {labels: {code: "1000", by: "peer"}, value: 5}]};
		const expr = sumBy("by", metric("x", {code: "1006"}));
		return expr.text(60) + " " + JSON.stringify(expr.at(history, 0, 60));
	})`)
	if want := `sum by (by) (x{code="1006"}) [{"labels":{"by":"peer"},"value":2}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A page shows the time before it was opened, and the time of a pause.
func TestPageShowsThePast(t *testing.T) {
	r := startDemo(t, demo{})
	c := r.dial(t, "/echo")
	r.waitForPast(t, 3)
	b := startBrowser(t, r.page())
	b.waitFor("/echo", "active", 1)
	b.click("#active summary")
	const rows = `document.querySelectorAll("#active .past tbody tr").length`
	b.waitUntil(rows + " > 0")
	if n := eval[int](b, rows); n < 3 {
		t.Errorf("the page begins with %d scrapes, and the server has 3", n)
	}

	b.click("#pause")
	b.waitUntil(`document.querySelector("#pause").textContent === "Resume" && document.querySelector("#state").textContent === "Paused"`)
	check(t, c.Close(websocket.StatusNormalClosure, ""))
	r.waitForValue(t, `ws_connections_closed_total{code="1000",http_route="/echo"}`, 1)
	if got := eval[float64](b, plotted("/echo", "active")); got != 1 {
		t.Errorf("the page shows %v connections while it is paused", got)
	}
	b.click("#pause")
	b.waitFor("/echo", "active", 0)
	b.waitUntil(`document.querySelector("#pause").textContent === "Pause" && document.querySelector("#state").dataset.state === "up"`)
}

// waitForPast waits until the server has stored n scrapes.
func (r *running) waitForPast(t *testing.T, n int) {
	t.Helper()
	for end := time.Now().Add(waitLimit); ; time.Sleep(20 * time.Millisecond) {
		var past scrapes
		check(t, json.Unmarshal([]byte(get(t, r.page()+"signals").body), &past))
		if len(past.Times) >= n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the server kept %d scrapes", len(past.Times))
		}
	}
}

// The page explains why the client sees 1006 and the server counts 1009, and plots
// the initiators of 1006.
func TestPageExplains(t *testing.T) {
	r := startDemo(t, demo{})
	b := startBrowser(t, r.page())
	b.waitFor("/echo", "active", 0)
	b.click("#open button")
	b.waitFor("/echo", "active", 5)
	b.fill("#send [name=size]", "1000000")
	b.click("#send .primary")
	b.waitUntil(`/with 1009|counted 1009/.test(document.querySelector("#events").innerText)`)
	r.waitForValue(t, `ws_connections_closed_total{code="1009",http_route="/echo"}`, 5)
	b.click("#end [value=vanish]")
	b.waitFor("peer", "abnormal", 1)
}

func (r *running) page() string { return "http" + strings.TrimPrefix(r.url, "ws") + "/" }

// plotted returns the newest value of a line in a plot, or undefined.
func plotted(line, plot string) string {
	return fmt.Sprintf(`(() => {
		const row = [...document.querySelectorAll("#%s .now tbody tr")].find((row) => row.cells[0].textContent === %q);
		const value = row?.cells[1].querySelector("data")?.value;
		return value === undefined ? undefined : Number(value);
	})()`, plot, line)
}

func (b *browser) waitFor(line, plot string, value float64) {
	b.t.Helper()
	b.waitUntil(fmt.Sprintf("Math.abs(%s - %v) < 1e-9", plotted(line, plot), value))
}

func (b *browser) waitForScrapes(n int) {
	b.t.Helper()
	const count = `performance.getEntriesByType("resource").filter(({name}) => name.includes("/signals?")).length`
	b.waitUntil(fmt.Sprintf("%s >= %d", count, eval[int](b, count)+n))
}
