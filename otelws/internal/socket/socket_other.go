//go:build !linux

package socket

// Asked reports whether this system supports the package.
const Asked = false

// Peek does nothing: only Linux is supported.
func Peek(transport any, look func([]byte)) {}

// ProgressOf returns false: only Linux is supported.
func ProgressOf(transport any) (p Progress, ok bool) { return p, false }

// TCPOf returns false: only Linux is supported.
func TCPOf(transport any) (t TCP, ok bool) { return t, false }

// Writable returns true: only Linux is supported.
func Writable(transport any) bool { return true }
