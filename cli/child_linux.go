package cli

import "syscall"

// endWithParent has the kernel end the child when this process is killed without a chance to do it.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
