// SPDX-License-Identifier: MPL-2.0

// Package foreground is what a program in the foreground needs besides the library: standard descriptors and a log.
package foreground

import (
	"os"
	"os/signal"
	"syscall"
)

// KeepStandardDescriptors opens /dev/null in place of standard descriptors that are closed, so that no file of the
// agent is taken for its standard output. Later versions of Go do it by themselves.
func KeepStandardDescriptors() {
	for descriptor := 0; descriptor <= 2; descriptor++ {
		_, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(descriptor), syscall.F_GETFD, 0)
		if errno == syscall.EBADF {
			// The lowest number that is free: this one.
			syscall.Open(os.DevNull, syscall.O_RDWR, 0)
		}
	}
}

// SurviveBrokenPipes has a write to a standard descriptor without a reader fail; otherwise Go's runtime ends the
// program. The signal is handled, not ignored: children would inherit that.
func SurviveBrokenPipes() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}
