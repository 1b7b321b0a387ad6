//go:build unix

package main

import "syscall"

// spare is the number of descriptors that are not for connections.
const spare = 200

// maxConns returns the number of connections that this process can open. Go's runtime has raised
// the soft limit to the hard limit, as Node does. The servers have the same limit.
func maxConns() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1 << 20
	}
	return int(min(max(int64(limit.Cur)-spare, 1), 1<<20))
}
