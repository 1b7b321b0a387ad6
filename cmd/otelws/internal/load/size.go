package load

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// maxSize limits the message size, because the longest message is held in memory.
const maxSize = 64 << 20

// Sizes is a distribution of message sizes: one size, a range, or a list with weights. The zero value
// means empty messages. It implements pflag.Value.
type Sizes struct {
	text    string
	choices []sizeChoice
	weights int // their sum
}

type sizeChoice struct{ low, high, weight int }

// ParseSizes parses "1024", "64-16KiB" or "64:70,1KiB:25,64KiB:5".
func ParseSizes(text string) (Sizes, error) {
	s := Sizes{text: text}
	for part := range strings.SplitSeq(text, ",") {
		sizes, weight, weighted := strings.Cut(part, ":")
		c := sizeChoice{weight: 1}
		low, high, ranged := strings.Cut(sizes, "-")
		var err, errHigh, errWeight error
		c.low, err = parseSize(low)
		c.high = c.low
		if ranged {
			c.high, errHigh = parseSize(high)
		}
		if weighted {
			c.weight, errWeight = strconv.Atoi(weight)
		}
		if err := errors.Join(err, errHigh, errWeight); err != nil || c.high < c.low || c.weight < 1 || c.weight > 1e6 {
			return Sizes{}, errors.New("use bytes such as 1024, 64-16KiB, or 64:70,1KiB:25,64KiB:5 with weights, up to 64MiB")
		}
		s.choices = append(s.choices, c)
		s.weights += c.weight
	}
	return s, nil
}

func parseSize(text string) (int, error) {
	unit := 1
	for suffix, n := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20} {
		if number, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = number, n
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxSize/unit {
		return 0, fmt.Errorf("%q is not a size", text)
	}
	return n * unit, nil
}

// String returns the text that was parsed.
func (s *Sizes) String() string { return s.text }

// Set parses a flag's value.
func (s *Sizes) Set(text string) error {
	parsed, err := ParseSizes(text)
	if err == nil {
		*s = parsed
	}
	return err
}

// Type names the value in a help text.
func (s *Sizes) Type() string { return "sizes" }

func (s *Sizes) max() int {
	most := 0
	for _, c := range s.choices {
		most = max(most, c.high)
	}
	return most
}

func (s *Sizes) pick(r *rand.Rand) int {
	if len(s.choices) == 0 {
		return 0
	}
	c := s.choices[0]
	if len(s.choices) > 1 {
		n := r.IntN(s.weights)
		for _, c = range s.choices {
			if n -= c.weight; n < 0 {
				break
			}
		}
	}
	return c.low + r.IntN(c.high-c.low+1)
}
