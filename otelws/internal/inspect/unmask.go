package inspect

import "encoding/binary"

// appendUnmasked appends b without its mask (RFC 6455 section 5.3). key is the mask, and offset the
// number of bytes of the frame's payload before b. The capacity of dst must be sufficient.
func appendUnmasked(dst, b []byte, key [4]byte, offset int64) []byte {
	from := len(dst)
	dst = dst[:from+len(b)]
	to := dst[from:]
	var turned [4]byte
	for i := range turned {
		turned[i] = key[(offset+int64(i))&3]
	}
	k := uint64(binary.LittleEndian.Uint32(turned[:]))
	k |= k << 32
	for len(b) >= 32 {
		from, into := b[:32], to[:32]
		binary.LittleEndian.PutUint64(into, binary.LittleEndian.Uint64(from)^k)
		binary.LittleEndian.PutUint64(into[8:], binary.LittleEndian.Uint64(from[8:])^k)
		binary.LittleEndian.PutUint64(into[16:], binary.LittleEndian.Uint64(from[16:])^k)
		binary.LittleEndian.PutUint64(into[24:], binary.LittleEndian.Uint64(from[24:])^k)
		to, b = to[32:], b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(to, binary.LittleEndian.Uint64(b)^k)
		to, b = to[8:], b[8:]
	}
	for i := range b {
		to[i] = b[i] ^ turned[i&3]
	}
	return dst
}
