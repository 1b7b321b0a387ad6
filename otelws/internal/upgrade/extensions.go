package upgrade

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// Extensions are the extensions that a response accepted.
type Extensions struct {
	RSV            byte // the RSV bits that messages may have
	Client, Server Compression
}

// Compression is how one side may compress with permessage-deflate.
type Compression struct {
	Alone      bool // no message refers to another (RFC 7692 section 7.1.1)
	WindowBits int  // size of the window, 8 to 15 (section 7.1.2)
}

// MaxWindowBits is the size of the largest window of DEFLATE.
const MaxWindowBits = 15

// ExtensionsOf returns the extensions of a response with this header.
func ExtensionsOf(response http.Header) Extensions {
	e := Extensions{Client: Compression{WindowBits: MaxWindowBits}, Server: Compression{WindowBits: MaxWindowBits}}
	for extension := range tokens(response, extensionsField) {
		name, parameters, _ := strings.Cut(extension, ";")
		if strings.TrimSpace(name) != "permessage-deflate" {
			e.RSV |= frame.RSV1 | frame.RSV2 | frame.RSV3
			continue
		}
		e.RSV |= frame.RSV1
		for parameter := range strings.SplitSeq(parameters, ";") {
			e.agree(parameter)
		}
	}
	return e
}

func (e *Extensions) agree(parameter string) {
	name, value, _ := strings.Cut(parameter, "=")
	bits := func() int {
		n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`))
		if err != nil || n < 8 || n > MaxWindowBits {
			return MaxWindowBits
		}
		return n
	}
	switch strings.TrimSpace(name) {
	case "client_no_context_takeover":
		e.Client.Alone = true
	case "server_no_context_takeover":
		e.Server.Alone = true
	case "client_max_window_bits":
		e.Client.WindowBits = bits()
	case "server_max_window_bits":
		e.Server.WindowBits = bits()
	}
}
