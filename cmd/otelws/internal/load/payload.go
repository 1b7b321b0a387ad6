package load

import (
	"io"
	"math/rand/v2"
	"sync"
)

// starts is the number of positions at which a message can begin in the text.
const starts = 4096

// newText returns the source of all messages, which are parts of it. It is ASCII, compresses about as
// well as real text, and is the same in every run.
func newText(longest int) []byte {
	words := []string{"status ", "price ", "update ", "room ", "hello ", "{\"id\":", "\"seq\":", "true}, ", "42, ", "null "}
	r := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 0, longest+starts+16)
	for len(text) < longest+starts {
		text = append(text, words[r.IntN(len(words))]...)
		text = append(text, 'a'+byte(r.IntN(26)))
	}
	return text
}

var buffers = sync.Pool{New: func() any { return new([4 << 10]byte) }}

// readMessage reads r to its end, and compares it with want. It does not hold the whole message.
func readMessage(r io.Reader, want []byte) (n int, equal bool, err error) {
	b := buffers.Get().(*[4 << 10]byte)
	defer buffers.Put(b)
	equal = true
	for {
		m, err := r.Read(b[:])
		if equal = equal && n+m <= len(want); equal && string(b[:m]) != string(want[n:n+m]) {
			equal = false
		}
		n += m
		if err == io.EOF {
			return n, equal && n == len(want), nil
		}
		if err != nil {
			return n, false, err
		}
	}
}

// message is a message whose echo has not arrived.
type message struct {
	due   int64 // time to send it, in nanoseconds since the start of the run
	start int32
	size  int32
}

// queue holds the messages of a connection whose echo has not arrived, the oldest first.
type queue struct {
	mu   sync.Mutex
	ring []message
	head int
	n    int
}

func (q *queue) push(m message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == len(q.ring) {
		bigger := make([]message, max(1, 2*len(q.ring)))
		for i := range q.n {
			bigger[i] = q.ring[(q.head+i)%len(q.ring)]
		}
		q.ring, q.head = bigger, 0
	}
	q.ring[(q.head+q.n)%len(q.ring)] = m
	q.n++
}

func (q *queue) first() (message, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == 0 {
		return message{}, false
	}
	return q.ring[q.head], true
}

// pop removes the first message. The queue must not be empty.
func (q *queue) pop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.head = (q.head + 1) % len(q.ring)
	q.n--
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n
}
