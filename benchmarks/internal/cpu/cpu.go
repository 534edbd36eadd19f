//go:build unix

// Package cpu reads what a process has used of the processors.
package cpu

import (
	"syscall"
	"time"
)

// Used returns the time that all threads of this process have spent, in the kernel
// too.
func Used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
