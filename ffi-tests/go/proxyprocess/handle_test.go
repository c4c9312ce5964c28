// SPDX-License-Identifier: MPL-2.0

package proxyprocess

import (
	"errors"
	"runtime"
	"sync"
	"testing"
	"unsafe"
)

// counted is a handle of nothing, and a channel that gets a value when it is freed.
func counted() (*handle, chan struct{}) {
	freed := make(chan struct{}, 10)
	return newHandle(nil, func(unsafe.Pointer) { freed <- struct{}{} }), freed
}

func TestHandleIsFreedOnceByTheLastUser(t *testing.T) {
	object, freed := counted()
	if !object.acquire() || !object.acquire() {
		t.Fatal("it is closed")
	}
	object.close()
	object.close()
	if object.acquire() || !errors.Is(object.use(nil), ErrClosed) {
		t.Error("it is not closed")
	}
	object.release()
	if len(freed) != 0 {
		t.Error("it is freed while it is used")
	}
	object.release()
	object.close()
	if len(freed) != 1 {
		t.Errorf("freed %d times", len(freed))
	}
}

func TestHandleThatIsForgottenIsFreed(t *testing.T) {
	_, freed := counted()
	for len(freed) == 0 {
		runtime.GC()
	}
	closed, freedOnce := counted()
	closed.close()
	closed = nil
	runtime.GC()
	runtime.GC()
	if len(freedOnce) != 1 {
		t.Errorf("freed %d times", len(freedOnce))
	}
}

func TestHandleOfSeveralUsers(t *testing.T) {
	for i := 0; i < 200; i++ {
		object, freed := counted()
		var using sync.WaitGroup
		for user := 0; user < 8; user++ {
			using.Add(1)
			go func(user int) {
				defer using.Done()
				if object.acquire() {
					if len(freed) != 0 {
						t.Error("it is freed while it is used")
					}
					object.release()
				}
				if user%4 == 0 {
					object.close()
				}
			}(user)
		}
		using.Wait()
		if len(freed) != 1 {
			t.Fatalf("freed %d times", len(freed))
		}
	}
}

func TestCodeOfAnErrorOfTheHost(t *testing.T) {
	for err, code := range map[error]Code{
		errors.New("any"):               ErrInternal,
		ErrStartFailed:                  ErrStartFailed,
		&Error{Code: ErrStopped}:        ErrStopped,
		&Error{Message: "without code"}: ErrInternal,
	} {
		if got := codeOf(err); got != code {
			t.Errorf("%v: expected %d, got %d", err, code, got)
		}
	}
}
