package process

import "syscall"

// attributes keeps a Ctrl-C in the terminal from the children, because they must end
// in a certain order. It also makes them end with this process, even if this process
// is killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
