// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"example.org/agent/proxyprocess"
)

// Callbacks arrive on threads that Go has not made, and are Go code like any other: they allocate, are stopped for the
// collector, wait, start goroutines and call the library.
func TestCallbacksOnForeignThreads(t *testing.T) {
	logged := logTo(t, proxyprocess.LogTrace)
	state := newState(t)
	lamps, manager, events := newLampManager(t, state, "")
	work := func() error {
		var working sync.WaitGroup
		sums := make(chan int, 8)
		for i := 0; i < cap(sums); i++ {
			working.Add(1)
			go func() {
				defer working.Done()
				sum := 0
				for _, number := range make([]int, 100_000) {
					sum += number + 1
				}
				sums <- sum
			}()
		}
		runtime.GC()
		working.Wait()
		for range make([]struct{}, cap(sums)) {
			if sum := <-sums; sum != 100_000 {
				return fmt.Errorf("got %d", sum)
			}
		}
		return state.Set("changing", proxyprocess.ProxyConfig{Mode: proxyprocess.ModeNoop})
	}
	lamps.let("start", work)
	lamps.let("stop", work)
	var ids []string
	for i := 0; i < 20; i++ {
		ids = append(ids, fmt.Sprint(i))
		check(t, state.Set(ids[i], declare("red")))
	}
	check(t, state.Set("daemon", sleeper()))
	run(t, manager)
	events.started(ids...)
	check(t, manager.Kill())
	if len(logged.String()) == 0 {
		t.Error("nothing was logged")
	}
}
