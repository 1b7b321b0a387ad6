package messagekind

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// These kinds always exist, in addition to the declared kinds.
const (
	// Other is the kind of a message whose kind is not declared, or cannot be read from the prefix.
	Other = "other"
	// None is the kind of a message that has no kind.
	None = "none"
)

// maxName is the maximum length of a kind, in bytes.
const maxName = 128

// Kinds are the declared kinds of a [Reader]. They are safe for concurrent use.
type Kinds struct {
	reader      Reader
	names       []string // the Reader's own, the declared ones, Other and None
	declared    map[string]int32
	other, none int32
}

// Declare returns the Kinds of r: the kinds of its protocol, and the given kinds. It returns an
// error if a kind is invalid, or if r takes no further kinds.
func Declare(r Reader, kinds ...string) (*Kinds, error) {
	if r.read == nil {
		return nil, fmt.Errorf("%s reads no kinds: it has no function", cmp.Or(r.protocol, "the zero Reader"))
	}
	if !r.within {
		r.prefix = DefaultPrefix
	}
	if r.prefix < 1 || r.prefix > MaxPrefix {
		return nil, fmt.Errorf("a prefix of %d bytes is not from 1 to %d", r.prefix, MaxPrefix)
	}
	k := &Kinds{reader: r, names: slices.Clone(r.own), declared: make(map[string]int32, len(kinds))}
	for _, name := range kinds {
		if err := r.check(name); err != nil {
			return nil, err
		}
		if !slices.Contains(k.names, name) && name != Other && name != None {
			k.declared[name] = int32(len(k.names))
			k.names = append(k.names, name)
		}
	}
	if len(k.names) == 0 {
		return nil, fmt.Errorf("%s has no kinds of its own: declare the kinds that messages may have", r.protocol)
	}
	k.other = int32(len(k.names))
	k.none = k.other + 1
	k.names = append(k.names, Other, None)
	return k, nil
}

func (r Reader) check(name string) error {
	switch {
	case name == "":
		return errors.New("an empty kind cannot be declared, because Prometheus treats it as a missing label")
	case !utf8.ValidString(name):
		return fmt.Errorf("kind %q is not valid UTF-8", name)
	case len(name) > maxName:
		return fmt.Errorf("kind %.20q... is longer than %d bytes", name, maxName)
	case !r.open && !slices.Contains(r.own, name) && name != Other && name != None:
		return fmt.Errorf("%s has no kind %q: it has %s", r.protocol, name, strings.Join(r.own, ", "))
	}
	return nil
}

// Names returns the names of all kinds, including [Other] and [None]. Read and Place return indexes
// of this slice. The caller must not change it.
func (k *Kinds) Names() []string { return k.names }

// Prefix returns the maximum number of bytes of a message that Read uses.
func (k *Kinds) Prefix() int { return k.reader.prefix }

// Place returns the index of the kind name in Names. If it is not declared, Place returns the index
// of [Other].
func (k *Kinds) Place(name string) int {
	if i := slices.Index(k.names, name); i >= 0 {
		return i
	}
	return int(k.other)
}

// Read returns the index in Names of the kind of m. Its time is at most linear in the length of the
// prefix. It allocates nothing, unless the function of [FirstBytes] does. It does not modify or keep
// m.
func (k *Kinds) Read(m Message) int {
	if n := k.reader.prefix; len(m.Prefix) > n {
		m.Prefix, m.Whole = m.Prefix[:n], false
	}
	return int(k.reader.read(k, m))
}

// of returns the index of the declared kind name, or else of Other. An empty name is None.
func (k *Kinds) of(name []byte) int32 {
	if len(name) == 0 {
		return k.none
	}
	return k.orElse(name, k.other)
}

func (k *Kinds) ofText(name string) int32 {
	if name == "" {
		return k.none
	}
	if i, ok := k.declared[name]; ok {
		return i
	}
	return k.other
}

// orElse returns the index of the declared kind name, or else other.
func (k *Kinds) orElse(name []byte, other int32) int32 {
	if i, ok := k.declared[string(name)]; ok {
		return i
	}
	return other
}
