// Package plain makes text that a server, a client or a file chose safe for a terminal.
package plain

import "strings"

// Text returns text with a space for each control character, such as the first of an escape
// sequence.
func Text(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}
