package main

import (
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed page/index.html page/*.css page/*.js page/*.svg
//go:embed page/uplot/*.js page/uplot/*.css page/uplot/LICENSE
var pageFiles embed.FS

// contentTypes are given here, since those of the machine may be others.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	"":      "text/plain; charset=utf-8",
}

// pagePolicy has the page ask nobody but the demo for anything.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pageData is what the index has of this demo.
type pageData struct {
	Metrics   string        // where Prometheus finds them
	Heartbeat time.Duration // 0 for none
	EchoLimit int
	RoomLimit int
	Declared  int // the private close code that has a series of its own
}

// addPage adds the page to mux: the index as /, and what it consists of under
// /page/, each file by its name.
func addPage(mux *http.ServeMux, data pageData) {
	index := template.Must(template.ParseFS(pageFiles, "page/index.html"))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		setPageHeader(w.Header(), "index.html")
		_ = index.Execute(w, data) // the client is gone
	})
	err := fs.WalkDir(pageFiles, "page", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == "page/index.html" {
			return err
		}
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			setPageHeader(w.Header(), name)
			http.ServeFileFS(w, r, pageFiles, name)
		})
		return nil
	})
	if err != nil {
		panic(fmt.Sprintf("the embedded page cannot be read: %v", err))
	}
}

func setPageHeader(h http.Header, name string) {
	h.Set("Content-Type", contentTypes[path.Ext(name)])
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // the next version of the command has another page
}

// signals serves the page what metrics, the exporter's handler, serves to
// Prometheus: the same text from the same registry, on the page's own origin.
//
// It is for a demo on localhost. A production server keeps its metrics on their
// own listener: here they are open to whoever reaches the WebSockets, without
// the authentication that a web configuration asks for.
func signals(metrics http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.URL.Path = "/metrics"
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		metrics.ServeHTTP(w, r)
	})
}
