package upgrade

import (
	"slices"
	"strings"
	"testing"
)

// heads are requests that clients send, and bytes that look similar.
var heads = []string{
	"GET / HTTP/1.1\r\nHost: test\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nUPGRADE:websocket\r\n\r\nearly",
	"GET / HTTP/1.1\nHost: test\nUpgrade: websocket\n\n",
	"GET / HTTP/1.1\r\nUpgrade-Insecure-Requests: 1\r\n\r\n",
	"GET / HTTP/1.1\r\nX: Upgrade: websocket\r\n\r\n",
	"GET / HTTP/1.1\r\nUpgrade\r\n\r\n",
	"GET /\r\r\n\r\n",
	"\r\n\r\n",
}

// whole returns the result of Find for all of b at once.
func whole(b []byte) (end int, upgrade bool) {
	var h RequestHead
	end = h.Find(b)
	return end, h.Upgrade
}

// FuzzRequestHead checks that Find has the same result in pieces as at once. Whenever
// net/http sees a header Upgrade, Find must see it, too.
func FuzzRequestHead(f *testing.F) {
	for i, head := range heads {
		f.Add([]byte(head), byte(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, piece byte) {
		end, upgrade := whole(b)
		var h RequestHead
		for n := 0; ; {
			n = min(n+1+int(piece), len(b))
			got := h.Find(b[:n])
			if got > 0 || n == len(b) {
				if got != end || got > 0 && h.Upgrade != upgrade {
					t.Fatalf("Find in pieces: %d, %v; at once: %d, %v", got, h.Upgrade, end, upgrade)
				}
				break
			}
		}
		if end == 0 {
			return
		}
		if r := ParseRequest(b[:end]); r != nil && r.Header.Get("Upgrade") != "" && !upgrade {
			t.Fatalf("Find missed the header Upgrade of %q", b[:end])
		}
	})
}

func TestRequestHead(t *testing.T) {
	var got []bool
	for _, head := range heads[:len(heads)-1] {
		end, upgrade := whole([]byte(head))
		if want := strings.TrimSuffix(head, "early"); end != len(want) {
			t.Errorf("the head of %q ends at %d", head, end)
		}
		got = append(got, upgrade)
	}
	if want := []bool{false, true, true, true, false, false, false, false}; !slices.Equal(got, want) {
		t.Errorf("the heads ask for an upgrade: %v, want %v", got, want)
	}
}

func TestStatus(t *testing.T) {
	for response, want := range map[string]int{
		"HTTP/1.1 101 Switching Protocols\r\n": 101, "HTTP/1.0 200\r\n": 200, "HTTP/1.1 404": 404,
		"HTTP/1.1 4": 0, "HTTP/2 200 OK": 0, "": 0, "SSH-2.0-OpenSSH_9.9": 0,
	} {
		if got := Status([]byte(response)); got != want {
			t.Errorf("the status of %q is %d, want %d", response, got, want)
		}
	}
}

// A head that does not end is given up, in whatever pieces it arrives.
func TestEndlessResponseHead(t *testing.T) {
	for _, piece := range []int{100, 1000, MaxHead, 2 * MaxHead} {
		var h ResponseHead
		_, _, ok := h.Read([]byte("HTTP/1.1 101 Switching Protocols\r\n"))
		for read := 0; ok; read += piece {
			if read > 2*MaxHead {
				t.Fatalf("in pieces of %d bytes, the head is still read after %d bytes", piece, read)
			}
			_, _, ok = h.Read([]byte(strings.Repeat("x", piece)))
		}
	}
}

func TestProtocolOf(t *testing.T) {
	for first, want := range map[string]Protocol{
		"\x16\x03\x01\x02\x00\x01\x00": TLS,
		"PROXY TCP4 192.0.2.1 ":        ProxyProtocol,
		"\r\n\r\n\x00\r\nQUIT\n\x21":   ProxyProtocol,
		"PRI * HTTP/2.0\r\n\r\nSM":     HTTP2,
	} {
		if got, ok := ProtocolOf([]byte(first)); !ok || got != want {
			t.Errorf("the protocol of %q is %d, %v", first, got, ok)
		}
	}
	for _, first := range []string{"GET / HTTP/1.1\r\n", "PROPFIND / HTTP/1.1\r\n", "\r\nGET /", "\x16", ""} {
		if got, ok := ProtocolOf([]byte(first)); ok {
			t.Errorf("%q is not another protocol, but was taken for %d", first, got)
		}
	}
}
