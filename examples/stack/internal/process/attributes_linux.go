package process

import "syscall"

// attributes keeps a Ctrl-C in the terminal from the children, which end in an
// order, and has them end with this process however that ends.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
