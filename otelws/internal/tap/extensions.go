package tap

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// extensions are the extensions that a response accepted.
type extensions struct {
	rsv            byte // the RSV bits that messages may have
	client, server compression
}

// compression is how one side may compress with permessage-deflate.
type compression struct {
	alone      bool // no message refers to another (RFC 7692 section 7.1.1)
	windowBits int  // size of the window, 8 to 15 (section 7.1.2)
}

const maxWindowBits = 15

func extensionsOf(response http.Header) extensions {
	e := extensions{client: compression{windowBits: maxWindowBits}, server: compression{windowBits: maxWindowBits}}
	for extension := range tokens(response, "Sec-WebSocket-Extensions") {
		name, parameters, _ := strings.Cut(extension, ";")
		if strings.TrimSpace(name) != "permessage-deflate" {
			e.rsv |= frame.RSV1 | frame.RSV2 | frame.RSV3
			continue
		}
		e.rsv |= frame.RSV1
		for parameter := range strings.SplitSeq(parameters, ";") {
			e.agree(parameter)
		}
	}
	return e
}

func (e *extensions) agree(parameter string) {
	name, value, _ := strings.Cut(parameter, "=")
	bits := func() int {
		n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`))
		if err != nil || n < 8 || n > maxWindowBits {
			return maxWindowBits
		}
		return n
	}
	switch strings.TrimSpace(name) {
	case "client_no_context_takeover":
		e.client.alone = true
	case "server_no_context_takeover":
		e.server.alone = true
	case "client_max_window_bits":
		e.client.windowBits = bits()
	case "server_max_window_bits":
		e.server.windowBits = bits()
	}
}
