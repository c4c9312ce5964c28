// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// keepStandardDescriptors opens /dev/null in place of standard descriptors that are closed, so that no file of the
// agent is taken for its standard output. Later versions of Go do it by themselves.
func keepStandardDescriptors() {
	for descriptor := 0; descriptor <= 2; descriptor++ {
		_, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(descriptor), syscall.F_GETFD, 0)
		if errno == syscall.EBADF {
			// The lowest number that is free: this one.
			syscall.Open(os.DevNull, syscall.O_RDWR, 0)
		}
	}
}

// surviveBrokenPipes has a write to a standard descriptor without a reader fail; otherwise Go's runtime ends the
// program. The signal is handled, not ignored: children would inherit that.
func surviveBrokenPipes() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}
