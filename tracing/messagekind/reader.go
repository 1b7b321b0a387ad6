package messagekind

import (
	"fmt"
	"sync"

	"go.opentelemetry.io/otel"
)

// Message is the beginning of a message, as a [Reader] gets it.
type Message struct {
	Prefix     []byte // the first bytes of the payload, decompressed, at most Kinds.Prefix of them
	Whole      bool   // Prefix is the whole payload
	Text       bool   // a text message, not a binary one
	FromClient bool   // the client of the connection sent it
}

// Reader reads the kind of a message from its first bytes. The functions of this package return
// Readers; the zero Reader reads nothing. A Reader is safe for concurrent use.
type Reader struct {
	protocol string
	own      []string // the kinds that the protocol defines
	open     bool     // further kinds can be declared
	stream   bool     // messages are pieces of a stream of packets, as in MQTT
	within   bool     // prefix is set
	prefix   int
	// read returns the index in k.names of the kind of m. It does not keep m.
	read func(k *Kinds, m Message) int32
}

// The default and the maximum size of the prefix of a message that a Reader gets, in bytes.
const (
	DefaultPrefix = 512
	MaxPrefix     = 64 << 10
)

// Within returns a Reader that reads the first n bytes of a message instead of [DefaultPrefix]. n must be
// from 1 to [MaxPrefix]. If these bytes do not contain the kind, the kind is [Other]. Each fragmented
// message in progress needs a buffer of n bytes.
func (r Reader) Within(n int) Reader {
	r.prefix, r.within = n, true
	return r
}

// Kinds returns the kinds that the protocol of the Reader defines.
func (r Reader) Kinds() []string { return append([]string(nil), r.own...) }

// FirstBytes returns a Reader that calls f with the first bytes of each message. f returns the kind, or
// "" if the message has none.
//
// The bytes are a copy that is overwritten after f has returned, so f must not keep them. f must be
// quick and safe for concurrent use, and must not use the connection. If f panics, the kind is [Other],
// and the first panic is reported to the error handler of OpenTelemetry.
func FirstBytes(f func(prefix []byte, text bool) string) Reader {
	r := Reader{protocol: "FirstBytes", open: true}
	if f == nil {
		return r
	}
	var buffers sync.Pool
	var once sync.Once
	r.read = func(k *Kinds, m Message) (place int32) {
		buffer, _ := buffers.Get().(*[]byte)
		if buffer == nil {
			buffer = new([]byte)
		}
		b := append((*buffer)[:0], m.Prefix...)
		defer func() {
			if v := recover(); v != nil {
				place = k.other
				once.Do(func() { otel.Handle(fmt.Errorf("messagekind: function of FirstBytes panicked: %v", v)) })
			}
			clear(b)
			*buffer = b
			buffers.Put(buffer)
		}()
		return k.ofText(f(b[:len(b):len(b)], m.Text))
	}
	return r
}
