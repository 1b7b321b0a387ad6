package count

import "github.com/otelws/otelws-go/otelws/internal/frame"

// Direction is the direction of bytes, as seen from this process.
type Direction uint8

// The directions, in the order of all arrays that they index.
const (
	Receive Direction = iota
	Transmit
	Directions = 2 // their number
)

// Opcodes are the opcodes that frames are counted by, in the order of all arrays that they index.
var Opcodes = [...]frame.Opcode{
	frame.Continuation, frame.Text, frame.Binary, frame.Close, frame.Ping, frame.Pong,
}

// opcodeIndex is the index in Opcodes of each opcode that a parser returns.
var opcodeIndex = func() (index [16]uint8) {
	for i, o := range Opcodes {
		index[o] = uint8(i)
	}
	return index
}()
