package messagekind

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// JSONMember returns a Reader of JSON objects (RFC 8259). The kind is the value of the top-level
// member with the given name. If several members have that name, the first counts.
//
// A string is the kind without its quotes. A number, true or false is the kind as it is written.
// The kind is [None] if the value is null or an empty string, if there is no such member, or if the
// message is not an object. It is [Other] if the value is an object or an array. It makes no
// difference whether the message is text or binary.
//
// The values before the member are skipped, and not validated.
func JSONMember(name string) Reader {
	names := []string{name}
	r := Reader{protocol: "JSONMember", open: true}
	r.read = func(k *Kinds, m Message) int32 {
		s := scanner{b: m.Prefix}
		switch _, found := s.member(names, m.Whole); found {
		case present:
			return s.kind(k, nil)
		case absent:
			return k.none
		}
		return k.other
	}
	return r
}

// scanner skips JSON text. The text may be anything, and may end anywhere.
type scanner struct {
	b  []byte
	at int
}

// presence is whether an object has a member.
type presence uint8

const (
	unreadable presence = iota // the text is malformed, or ends too early
	present
	absent // the object has no such member, or there is no object
)

// member goes to the value of the first top-level member whose name is one of names. It returns the
// index of that name.
func (s *scanner) member(names []string, whole bool) (int, presence) {
	s.space()
	if s.at == len(s.b) && !whole {
		return 0, unreadable
	}
	if !s.take('{') {
		return 0, absent
	}
	s.space()
	if s.take('}') {
		return 0, absent
	}
	for {
		s.space()
		key, escaped, ok := s.string()
		if !ok {
			return 0, unreadable
		}
		s.space()
		if !s.take(':') {
			return 0, unreadable
		}
		s.space()
		if i := indexOf(names, key, escaped); i >= 0 {
			return i, present
		}
		if !s.skip() {
			return 0, unreadable
		}
		s.space()
		if s.take('}') {
			return 0, absent
		}
		if !s.take(',') {
			return 0, unreadable
		}
	}
}

// element goes to the value with index n of an array.
func (s *scanner) element(n int) bool {
	s.space()
	if !s.take('[') {
		return false
	}
	s.space()
	for range n {
		if !s.skip() {
			return false
		}
		s.space()
		if !s.take(',') {
			return false
		}
		s.space()
	}
	return true
}

// kind returns the kind in the value. own has the indexes of the protocol's kinds, or is nil if
// there are none.
func (s *scanner) kind(k *Kinds, own map[string]int32) int32 {
	if s.at == len(s.b) {
		return k.other
	}
	var unescaped [maxName]byte
	var token []byte
	switch s.b[s.at] {
	case '{', '[':
		return k.other
	case '"':
		text, escaped, ok := s.string()
		if escaped && ok {
			text, ok = unescape(unescaped[:0], text)
		}
		if !ok {
			return k.other
		}
		token = text
	default:
		token = s.literal()
		if s.at == len(s.b) || len(token) == 0 { // the token may be incomplete
			return k.other
		}
		if string(token) == "null" {
			return k.none
		}
	}
	if i, ok := own[string(token)]; ok {
		return i
	}
	return k.of(token)
}

func (s *scanner) space() {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	if s.at < len(s.b) && s.b[s.at] == c {
		s.at++
		return true
	}
	return false
}

// string skips a string, and returns the text between its quotes.
func (s *scanner) string() (text []byte, escaped, ok bool) {
	if !s.take('"') {
		return nil, false, false
	}
	rest := s.b[s.at:]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		s.at = len(s.b)
		return nil, false, false
	}
	i := bytes.IndexByte(rest[:end], '\\')
	if i < 0 {
		s.at += end + 1
		return rest[:end], false, true
	}
	for ; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '"':
			s.at += i + 1
			return rest[:i], true, true
		}
	}
	s.at = len(s.b)
	return nil, true, false
}

// literal skips a number, true, false, null, or other text in the place of one.
func (s *scanner) literal() []byte {
	from := s.at
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ',', '}', ']', ' ', '\t', '\r', '\n', '{', '[', '"', ':':
			return s.b[from:s.at]
		}
		s.at++
	}
	return s.b[from:]
}

// skip skips a value. It counts brackets, and does not check whether their types match.
func (s *scanner) skip() bool {
	if s.at == len(s.b) {
		return false
	}
	switch s.b[s.at] {
	case '"':
		_, _, ok := s.string()
		return ok
	case '{', '[':
		return s.skipNested()
	}
	return len(s.literal()) > 0
}

func (s *scanner) skipNested() bool {
	for depth := 0; s.at < len(s.b); {
		switch s.b[s.at] {
		case '"':
			if _, _, ok := s.string(); !ok {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.at++
				return true
			}
		}
		s.at++
	}
	return false
}

func indexOf(names []string, key []byte, escaped bool) int {
	if escaped {
		var buffer [maxName]byte
		var ok bool
		if key, ok = unescape(buffer[:0], key); !ok {
			return -1
		}
	}
	for i, name := range names {
		if string(key) == name {
			return i
		}
	}
	return -1
}

// unescape appends the text of a string to dst. ok is false if the capacity of dst is too small, or
// if an escape is invalid.
func unescape(dst, text []byte) (_ []byte, ok bool) {
	for len(text) > 0 {
		if len(dst)+utf8.UTFMax > cap(dst) && text[0] == '\\' || len(dst) == cap(dst) {
			return nil, false
		}
		c := text[0]
		if c != '\\' {
			dst, text = append(dst, c), text[1:]
			continue
		}
		if len(text) < 2 {
			return nil, false
		}
		c, text = text[1], text[2:]
		switch c {
		case '"', '\\', '/':
			dst = append(dst, c)
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, ok := hex4(text)
			if !ok {
				return nil, false
			}
			text = text[4:]
			if utf16.IsSurrogate(r) && len(text) >= 6 && text[0] == '\\' && text[1] == 'u' {
				low, _ := hex4(text[2:])
				if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
					r, text = both, text[6:]
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			return nil, false
		}
	}
	return dst, true
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
