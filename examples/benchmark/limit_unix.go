//go:build unix

package main

import "syscall"

// spare descriptors are for what is no connection.
const spare = 200

// maxConns is how many connections this process can open. Go's runtime has
// raised the soft limit to the hard one, as Node does; the servers have the same.
func maxConns() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1 << 20
	}
	return int(min(max(int64(limit.Cur)-spare, 1), 1<<20))
}
