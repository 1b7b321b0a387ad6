package tracing

// findMembers returns the positions of the top-level members. It checks that the whole of doc is
// valid JSON (RFC 8259).
func findMembers(doc []byte) (m members) {
	s := scanner{doc: doc}
	s.space()
	if s.peek() != '{' {
		return members{}
	}
	m.front = s.at + 1
	if !s.object(&m, 1) {
		return members{}
	}
	s.space()
	if s.at != len(doc) {
		return members{}
	}
	m.object = true
	return m
}

// scanner skips over JSON values. Its methods return false if the document is not valid.
type scanner struct {
	doc []byte
	at  int
}

// peek returns the next byte. At the end it returns 0, with which no value begins.
func (s *scanner) peek() byte {
	if s.at < len(s.doc) {
		return s.doc[s.at]
	}
	return 0
}

func (s *scanner) space() {
	for s.at < len(s.doc) {
		switch s.doc[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

// object skips over an object. m is nil for a nested object.
func (s *scanner) object(m *members, depth int) bool {
	s.at++
	s.space()
	if s.take('}') {
		if m != nil {
			m.empty = true
		}
		return true
	}
	for {
		key := span{from: s.at}
		if !s.string() {
			return false
		}
		key.to = s.at
		s.space()
		if !s.take(':') {
			return false
		}
		s.space()
		value := span{from: s.at}
		if !s.value(depth) {
			return false
		}
		value.to = s.at
		if m != nil {
			m.add(s.doc[key.from:key.to], value)
		}
		s.space()
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
		}
		s.space()
	}
}

func (m *members) add(key []byte, value span) {
	const longest = len(`"\u0074\u0072\u0061\u0063\u0065\u0070\u0061\u0072\u0065\u006e\u0074"`)
	if len(key) > longest {
		return
	}
	if string(key) == `"traceparent"` {
		m.parent = append(m.parent, value)
		return
	}
	switch name, _ := unquote(key); name {
	case traceparentKey:
		m.parent = append(m.parent, value)
	case tracestateKey:
		m.state = append(m.state, value)
	}
}

func (s *scanner) array(depth int) bool {
	s.at++
	s.space()
	if s.take(']') {
		return true
	}
	for {
		if !s.value(depth) {
			return false
		}
		s.space()
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
		s.space()
	}
}

func (s *scanner) value(depth int) bool {
	switch c := s.peek(); {
	case c == '"':
		return s.string()
	case c == '{':
		return depth < maxJSONDepth && s.object(nil, depth+1)
	case c == '[':
		return depth < maxJSONDepth && s.array(depth+1)
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *scanner) word(w string) bool {
	if len(s.doc)-s.at < len(w) || string(s.doc[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) string() bool {
	if !s.take('"') {
		return false
	}
	for s.at < len(s.doc) {
		c := s.doc[s.at]
		s.at++
		switch {
		case c == '"':
			return true
		case c < ' ':
			return false
		case c == '\\' && !s.escape():
			return false
		}
	}
	return false
}

func (s *scanner) escape() bool {
	c := s.peek()
	s.at++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			if c := s.peek() | 0x20; !(c >= '0' && c <= '9' && s.peek() >= '0' || c >= 'a' && c <= 'f') {
				return false
			}
			s.at++
		}
		return true
	}
	return false
}

func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		_ = s.take('+') || s.take('-')
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	from := s.at
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.at++
	}
	return s.at > from
}
