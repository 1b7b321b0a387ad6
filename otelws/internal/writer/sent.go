package writer

import (
	"net/http"
	"reflect"
	"sync"
)

// Sent returns the status of the response that net/http's own writer below w has been told to send,
// or 0 if it has not been told yet. After Hijack, that response has been written. ok is false if
// net/http's writer was not found. Sent looks for it through Unwrap, and through the embedded
// [http.ResponseWriter] of a struct.
//
// net/http has no API for this, so Sent reads two private fields. Only the handler's goroutine
// writes these fields, so it must also call Sent.
func Sent(w http.ResponseWriter) (status int, ok bool) {
	for range MaxDepth {
		if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
			w = u.Unwrap()
			continue
		}
		v := reflect.ValueOf(w)
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return 0, false
		}
		if t := v.Type(); t.Name() == "response" && t.PkgPath() == "net/http" {
			return sent(v)
		}
		w = embedded(v)
	}
	return 0, false
}

// embedded returns the writer that v embeds, or nil.
func embedded(v reflect.Value) http.ResponseWriter {
	f, ok := v.Type().FieldByName("ResponseWriter")
	if !ok || !f.IsExported() {
		return nil
	}
	inner, err := v.FieldByIndexErr(f.Index)
	if err != nil || !inner.CanInterface() {
		return nil
	}
	w, _ := inner.Interface().(http.ResponseWriter)
	return w
}

// MaxDepth limits a search through the writers beneath a writer, because writers may contain each
// other.
const MaxDepth = 100

func sent(response reflect.Value) (status int, ok bool) {
	f := fieldsOf(response.Type())
	switch {
	case f == nil:
		return 0, false
	case !response.FieldByIndex(f.wroteHeader).Bool():
		return 0, true
	}
	return int(response.FieldByIndex(f.status).Int()), true
}

type fields struct{ wroteHeader, status []int }

var (
	netHTTPOnce sync.Once
	netHTTP     *fields
)

// fieldsOf returns nil if this version of net/http does not have the fields.
func fieldsOf(response reflect.Type) *fields {
	netHTTPOnce.Do(func() {
		wroteHeader, ok := response.FieldByName("wroteHeader")
		status, too := response.FieldByName("status")
		if ok && too && wroteHeader.Type.Kind() == reflect.Bool && status.Type.Kind() == reflect.Int {
			netHTTP = &fields{wroteHeader.Index, status.Index}
		}
	})
	return netHTTP
}
