package writer

import (
	"net/http"
	"reflect"
	"sync"
)

// Sent returns the status of the response that net/http's own writer, which is
// beneath w, has been told to send, and 0 before that. It says so only where it
// finds that writer: by Unwrap, or by the field of a struct that embeds an
// [http.ResponseWriter]. Once Hijack has returned, the response is on the wire.
//
// net/http tells nobody, so that two fields of the writer have to be read. The
// goroutine that the handler runs in, which alone writes them, has to call it.
func Sent(w http.ResponseWriter) (status int, ok bool) {
	for range maxDepth {
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

// embedded returns the writer that v embeds, nil where it embeds none.
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

// maxDepth ends the search through writers that lead back to themselves.
const maxDepth = 100

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

// fieldsOf returns nil where this version of net/http has no such fields.
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
