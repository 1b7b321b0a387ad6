package upgrade

import "bytes"

// Protocol is a protocol that is not HTTP/1.1.
type Protocol uint8

// The protocols that are recognised.
const (
	TLS Protocol = iota
	ProxyProtocol
	HTTP2
	Protocols // their number
)

var prefaces = [Protocols][][]byte{
	TLS: {{22, 3}}, // a handshake record
	ProxyProtocol: {
		[]byte("PROXY "),
		[]byte("\r\n\r\n\x00\r\nQUIT\n"),
	},
	HTTP2: {[]byte("PRI * HTTP/2.0")},
}

// ProtocolOf returns the protocol that begins with b, if it is one of Protocol.
func ProtocolOf(b []byte) (p Protocol, ok bool) {
	for p, all := range prefaces {
		for _, preface := range all {
			if bytes.HasPrefix(b, preface) {
				return Protocol(p), true
			}
		}
	}
	return 0, false
}
