//go:build unix

package proxy

import "syscall"

// maxDescriptors is how many this process may have open. Go's runtime has raised
// the soft limit to the hard one.
func maxDescriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return unlimited
	}
	return int(min(uint64(limit.Cur), unlimited)) //nolint:unconvert // it is signed on FreeBSD
}
