// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include <proxyprocess.h>
import "C"

import (
	"errors"
	"runtime"
	"sync"
	"unsafe"
)

// handle owns an object of the library. Several calls use it at the same time; it is freed once, when it is closed and
// the last of them has returned.
type handle struct {
	pointer unsafe.Pointer
	free    func(unsafe.Pointer)

	mu     sync.Mutex
	users  int
	closed bool
	freed  bool
}

func newHandle(pointer unsafe.Pointer, free func(unsafe.Pointer)) *handle {
	h := &handle{pointer: pointer, free: free}
	// Freeing may wait for threads of the library; the one goroutine of all finalizers must not.
	runtime.SetFinalizer(h, func(h *handle) { go h.close() })
	return h
}

// use calls the library with the object, and returns ErrClosed if it is closed.
func (h *handle) use(function func(object unsafe.Pointer, failure **C.proxyprocess_error) C.int32_t) error {
	if !h.acquire() {
		return closedError()
	}
	defer h.release()
	return call(func(failure **C.proxyprocess_error) C.int32_t { return function(h.pointer, failure) })
}

// end calls a function that ends the object, and closes it. An object that has ended before is no error; one that
// cannot be ended here goes on.
func (h *handle) end(function func(object unsafe.Pointer, failure **C.proxyprocess_error) C.int32_t) error {
	err := h.use(function)
	if errors.Is(err, ErrInCallback) {
		return err
	}
	h.close()
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// acquire keeps the object from being freed until release is called; it is false when it is closed. A handle that was
// never made, that of a zero value, counts as closed.
func (h *handle) acquire() bool {
	if h == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.users++
	return true
}

func (h *handle) release() {
	h.mu.Lock()
	h.users--
	h.unlockAndFree()
}

// close has the object freed as soon as no call uses it.
func (h *handle) close() {
	if h == nil {
		return
	}
	h.mu.Lock()
	h.closed = true
	h.unlockAndFree()
}

func (h *handle) unlockAndFree() {
	last := h.closed && h.users == 0 && !h.freed
	h.freed = h.freed || last
	h.mu.Unlock()
	if last {
		runtime.SetFinalizer(h, nil)
		h.free(h.pointer)
	}
}
