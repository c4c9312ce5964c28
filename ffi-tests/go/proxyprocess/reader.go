// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include <proxyprocess.h>
import "C"

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// reader waits for an object of the library that announces by a descriptor that there is something to read. The wait parks
// the goroutine, not its thread.
type reader struct {
	handle *handle
	// The object's descriptor, on the poller of Go's runtime.
	ready *os.File
	poll  syscall.RawConn
	// Holds a token while a goroutine reads: what was read is there until the next call with the same object.
	turn chan struct{}
}

// newReader makes a reader of an object whose descriptor the function puts there.
func newReader(h *handle, descriptor func(*C.int32_t, **C.proxyprocess_error) C.int32_t) (reader, error) {
	r := reader{handle: h, turn: make(chan struct{}, 1)}
	var err error
	if r.ready, err = pollable(descriptor); err == nil {
		r.poll, err = r.ready.SyscallConn()
	}
	if err != nil {
		r.close()
	}
	return r, err
}

// pollable duplicates a descriptor: an os.File closes its own.
func pollable(descriptor func(*C.int32_t, **C.proxyprocess_error) C.int32_t) (*os.File, error) {
	var library C.int32_t
	if err := call(func(failure **C.proxyprocess_error) C.int32_t {
		return descriptor(&library, failure)
	}); err != nil {
		return nil, err
	}
	own, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(library), syscall.F_DUPFD_CLOEXEC, 3)
	if errno != 0 {
		return nil, &Error{Code: ErrExhausted, Errno: errno, Message: "duplicate descriptor: " + errno.Error()}
	}
	return os.NewFile(own, "reader"), nil
}

func (r *reader) close() {
	// ORDER: who is woken by the end of the file finds the object closed.
	r.handle.close()
	if r.ready != nil {
		r.ready.Close()
	}
}

// next calls a function until it has found something or failed, and waits in between. With a context that is done it calls it
// once.
func (r *reader) next(ctx context.Context, look func() (found bool, err error)) error {
	if r.handle == nil {
		return closedError()
	}
	select {
	case r.turn <- struct{}{}:
	default:
		select {
		case r.turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-r.turn }()
	found, err := look()
	if found || err != nil {
		return err
	}
	if err := r.ready.SetReadDeadline(time.Time{}); err != nil {
		return r.closedOr(err)
	}
	interrupted := interrupt(ctx, r.ready)
	defer interrupted()
	failed := r.poll.Read(func(uintptr) bool {
		found, err = look()
		return found || err != nil
	})
	switch {
	case errors.Is(failed, os.ErrDeadlineExceeded):
		return ctx.Err()
	case failed != nil:
		return r.closedOr(failed)
	}
	return err
}

// closedOr returns why the poller has failed.
func (r *reader) closedOr(err error) error {
	if !r.handle.acquire() {
		return closedError()
	}
	r.handle.release()
	return err
}

// use calls the library with the object.
func (r *reader) use(function func(unsafe.Pointer, **C.proxyprocess_error) C.int32_t) error {
	return r.handle.use(function)
}

// interrupt ends what waits for a file when the context is done. The function that it returns is called after the wait:
// then the file is as before.
func interrupt(ctx context.Context, file *os.File) func() {
	if ctx.Done() == nil {
		return func() {}
	}
	waited, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-ctx.Done():
			file.SetReadDeadline(time.Unix(1, 0))
		case <-waited:
		}
	}()
	return func() {
		close(waited)
		<-ended
	}
}
