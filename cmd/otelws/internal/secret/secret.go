// Package secret removes secrets in URLs from output: the user and password, the values of query
// parameters, and the fragment.
package secret

import (
	"bytes"
	"io"
	"log/slog"
	"regexp"
	"strings"
)

const hidden = "REDACTED"

var (
	// address matches a URL, even a malformed one.
	address = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^\s"'<>` + "`" + `]+`)
	// user matches a user and password in an address without a scheme.
	user = regexp.MustCompile(`[^\s"'=/@:?&]+:[^\s"'@]*@`)
	// query matches the query of a path, or of an address without a scheme.
	query = regexp.MustCompile(`\?[^\s"'<>` + "`" + `]+`)
)

// Hide returns text without the secrets of the URLs in it.
func Hide(text string) string {
	if !strings.ContainsAny(text, "@?#&") {
		return text
	}
	var b strings.Builder
	done := 0
	for _, at := range address.FindAllStringIndex(text, -1) {
		b.WriteString(hideElsewhere(text[done:at[0]]))
		b.WriteString(hideAddress(text[at[0]:at[1]]))
		done = at[1]
	}
	b.WriteString(hideElsewhere(text[done:]))
	return b.String()
}

// hideElsewhere hides secrets in text without a scheme.
func hideElsewhere(text string) string {
	text = user.ReplaceAllString(text, hidden+"@")
	return query.ReplaceAllStringFunc(text, func(s string) string {
		s, _, hasFragment := strings.Cut(s[1:], "#")
		s = "?" + hideQuery(s)
		if hasFragment {
			s += "#" + hidden
		}
		return s
	})
}

func hideAddress(s string) string {
	scheme, rest, _ := strings.Cut(s, "://")
	rest, fragment, hasFragment := strings.Cut(rest, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	host, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = hidden + host[i:]
	} else if i := strings.LastIndexByte(rest, '@'); i >= 0 && !hasPort(host) {
		// The password contains an unescaped slash.
		host, path = hidden+rest[i:], ""
	}
	s = scheme + "://" + host + path
	if hasQuery {
		s += "?" + hideQuery(query)
	}
	// An unescaped ? or # may be in the middle of a password.
	if hasFragment {
		if strings.ContainsRune(fragment, '@') && !strings.ContainsRune(host, '@') {
			return scheme + "://" + hidden
		}
		s += "#" + hidden
	}
	if strings.ContainsRune(query, '@') && !hasPort(host) && !strings.ContainsRune(host, '@') {
		return scheme + "://" + hidden
	}
	return s
}

// hasPort reports whether the text after the last colon of host can be a port, or host has no colon.
func hasPort(host string) bool {
	i := strings.LastIndexByte(host, ':')
	return i < 0 || strings.HasSuffix(host, "]") || strings.Trim(host[i+1:], "0123456789") == ""
}

func hideQuery(query string) string {
	params := strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' })
	for i, p := range params {
		name, _, ok := strings.Cut(p, "=")
		if !ok { // it may be the secret itself
			params[i] = hidden
			continue
		}
		params[i] = name + "=" + hidden
	}
	return strings.Join(params, "&")
}

// Attr hides secrets in attributes of log records. It is a ReplaceAttr of [slog.HandlerOptions].
func Attr(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case string:
		a.Value = slog.StringValue(Hide(v))
	case error:
		a.Value = slog.StringValue(Hide(v.Error()))
	}
	return a
}

// Writer hides secrets in the text that is written through it, line by line.
type Writer struct {
	w    io.Writer
	line []byte // the incomplete last line
}

// NewWriter returns a Writer to w. Call Flush at the end.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Unwrap returns the underlying writer.
func (w *Writer) Unwrap() io.Writer { return w.w }

func (w *Writer) Write(p []byte) (int, error) {
	end := bytes.LastIndexByte(p, '\n') + 1
	if end == 0 {
		w.line = append(w.line, p...)
		return len(p), nil
	}
	whole := append(w.line, p[:end]...)
	w.line = append([]byte(nil), p[end:]...)
	if _, err := io.WriteString(w.w, Hide(string(whole))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes the last line, if it has no newline.
func (w *Writer) Flush() error {
	_, err := io.WriteString(w.w, Hide(string(w.line)))
	w.line = nil
	return err
}
