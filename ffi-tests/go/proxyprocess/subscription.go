// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include <proxyprocess.h>
import "C"

import (
	"math"
	"time"
	"unsafe"
)

// Subscription tells that a State changed.
type Subscription struct {
	handle *handle
}

// Subscribe tells of changes from now on.
func (s *State) Subscribe() (*Subscription, error) {
	var subscription *C.proxyprocess_subscription
	if err := s.use(func(state *C.proxyprocess_state, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_state_subscribe(state, &subscription, failure)
	}); err != nil {
		return nil, err
	}
	return &Subscription{newHandle(unsafe.Pointer(subscription), func(pointer unsafe.Pointer) {
		C.proxyprocess_subscription_free((*C.proxyprocess_subscription)(pointer))
	})}, nil
}

// Wait waits for a change, at most so long, and reports whether there was one. Changes that were not waited for are
// told once. A timeout of 0 only looks, one below 0 waits until there is a change.
//
// The wait keeps a thread, and cannot be interrupted.
func (s *Subscription) Wait(timeout time.Duration) (bool, error) {
	var changed C.uint8_t
	err := s.handle.use(func(object unsafe.Pointer, failure **C.proxyprocess_error) C.int32_t {
		subscription := (*C.proxyprocess_subscription)(object)
		return C.proxyprocess_subscription_wait(subscription, timeoutOf(timeout), &changed, failure)
	})
	return changed != 0, err
}

// Close releases the subscription, once no goroutine waits any more.
func (s *Subscription) Close() error {
	s.handle.close()
	return nil
}

// timeoutOf is a timeout in whole milliseconds, rounded up.
func timeoutOf(timeout time.Duration) C.uint64_t {
	if timeout < 0 {
		return math.MaxUint64
	}
	var milliseconds C.uint64_t
	setPeriod(&milliseconds, timeout)
	return milliseconds
}
