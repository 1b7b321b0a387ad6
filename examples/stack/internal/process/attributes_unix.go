//go:build unix && !linux

package process

import "syscall"

// attributes keeps a Ctrl-C in the terminal from the children, because they must end
// in a certain order.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
