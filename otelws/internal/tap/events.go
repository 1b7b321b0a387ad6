package tap

import (
	"sync"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// event is a frame that ends at some index of a Write.
type event struct {
	message int64 // as in frame.Frame; the same holds for decoded and kind
	decoded int64
	end     int
	kind    int32
	opcode  frame.Opcode
	err     frame.Error // the error of the bytes after the previous frame
}

func eventOf(f *frame.Frame, end int) event {
	return event{message: f.Message, decoded: f.Decoded, kind: f.Kind, end: end, opcode: f.Opcode}
}

// events are the frames that were read ahead of one Write: usually a few, in a proxy many.
type events struct {
	n    int
	few  [8]event
	many *[512]event
}

var eventLists = sync.Pool{New: func() any { return new([512]event) }}

func (e *events) all() []event {
	if e.many != nil {
		return e.many[:e.n]
	}
	return e.few[:e.n]
}
