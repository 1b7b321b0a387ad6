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

// contentTypes are fixed here, because the tables of machines differ.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	"":      "text/plain; charset=utf-8",
}

// pagePolicy allows the page to load content only from the demo.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pageData are the settings of the demo that the index shows.
type pageData struct {
	Metrics   string        // the address for Prometheus
	Heartbeat time.Duration // 0 for none
	EchoLimit int
	RoomLimit int
	Declared  int // the private close code that the server declares
}

// addPage adds the index to mux as /, and the other files of the page by their
// names under /page/.
func addPage(mux *http.ServeMux, data pageData) {
	index := template.Must(template.ParseFS(pageFiles, "page/index.html"))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		setPageHeader(w.Header(), "index.html")
		_ = index.Execute(w, data) // an error means that the client is gone
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
