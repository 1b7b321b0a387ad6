//go:build !linux

package socket

// Asked says whether the kernel is asked.
const Asked = false

// Peek does nothing: only Linux is asked.
func Peek(transport any, look func([]byte)) {}

// ProgressOf knows nothing: only Linux is asked.
func ProgressOf(transport any) (p Progress, ok bool) { return p, false }

// TCPOf knows nothing: only Linux is asked.
func TCPOf(transport any) (t TCP, ok bool) { return t, false }

// Writable knows nothing: only Linux is asked.
func Writable(transport any) bool { return true }
