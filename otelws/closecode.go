package otelws

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/coder/websocket"
)

// registeredCodes are the close codes of RFC 6455 section 7.4.1 and the IANA registry: codes that a
// peer may send, and codes that stand for a missing code.
var registeredCodes = []websocket.StatusCode{
	1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
	3000, 3003, 3008,
}

// reportedCodes are the values of the attribute code that are reported as 0 before they happen,
// because rate() cannot see a series that begins at 1.
var reportedCodes = []websocket.StatusCode{1000, 1001, 1005, 1006}

// idleCodes are the values of the attribute code of ws.connection.idle. Two are enough: a hop
// between the peers cuts a connection without a close frame.
var idleCodes = [...]string{strconv.Itoa(int(websocket.StatusAbnormalClosure)), codeOther}

// foldIdle returns the index of code c in idleCodes.
func foldIdle(c websocket.StatusCode) int {
	if c == websocket.StatusAbnormalClosure {
		return 0
	}
	return 1
}

// The values for codes that are neither registered nor declared. Peers choose these codes, so a
// value for each would make unlimited series.
const (
	codeLibrary = "3xxx"
	codePrivate = "4xxx"
	codeOther   = "other"
)

// closeCodes is the closed set of values of the attribute code.
type closeCodes struct {
	values   []string
	index    map[websocket.StatusCode]int
	reported []bool // index: as in values
}

func newCloseCodes(declared []websocket.StatusCode) (*closeCodes, error) {
	codes := slices.Clone(registeredCodes)
	for _, c := range declared {
		switch {
		case c < 3000 || c > 4999:
			return nil, fmt.Errorf("invalid close code %d: an application may declare codes from 3000 to 4999", c)
		case !slices.Contains(codes, c):
			codes = append(codes, c)
		}
	}

	cc := &closeCodes{index: make(map[websocket.StatusCode]int, len(codes))}
	for _, c := range codes {
		cc.index[c] = len(cc.values)
		cc.values = append(cc.values, strconv.Itoa(int(c)))
	}
	cc.values = append(cc.values, codeLibrary, codePrivate, codeOther)
	cc.reported = make([]bool, len(cc.values))
	for _, c := range reportedCodes {
		cc.reported[cc.index[c]] = true
	}
	return cc, nil
}

// fold returns the index of code c in values.
func (cc *closeCodes) fold(c websocket.StatusCode) int {
	if i, ok := cc.index[c]; ok {
		return i
	}
	n := len(cc.values)
	switch {
	case c >= 3000 && c <= 3999:
		return n - 3
	case c >= 4000 && c <= 4999:
		return n - 2
	}
	return n - 1
}
