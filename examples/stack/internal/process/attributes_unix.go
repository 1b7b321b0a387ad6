//go:build unix && !linux

package process

import "syscall"

// attributes keeps a Ctrl-C in the terminal from the children, which end in an
// order.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
