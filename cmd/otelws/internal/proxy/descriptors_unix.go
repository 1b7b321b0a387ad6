//go:build unix

package proxy

import "syscall"

// maxDescriptors returns the number of file descriptors that this process may open.
// The Go runtime has already raised the soft limit to the hard limit.
func maxDescriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return unlimited
	}
	return int(min(uint64(limit.Cur), unlimited)) //nolint:unconvert // Cur is signed on FreeBSD
}
