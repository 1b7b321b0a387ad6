//go:build unix

package process

import (
	"syscall"
	"time"
)

// cpuTime returns the CPU time of this process, in microseconds precision.
func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
