// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"example.org/agent/proxyprocess"
)

// Everything is called at once, and the first end counts.
func TestEndsAtTheSameTime(t *testing.T) {
	dataDir := filepath.Join(t.TempDir(), "data")
	state := newState(t)
	for i := 0; i < 5; i++ {
		check(t, state.Set(fmt.Sprint("daemon", i), sleeper()))
		check(t, state.Set(fmt.Sprint("lamp", i), declare("red")))
	}
	lamps, manager, _ := newLampManager(t, state, dataDir)
	events := read(t, manager)
	run(t, manager)
	for i := 0; i < 5; i++ {
		lamps.until(fmt.Sprint("start lamp", i))
	}

	begin := make(chan struct{})
	var calling sync.WaitGroup
	call := func(call func() error) {
		calling.Add(1)
		go func() {
			defer calling.Done()
			<-begin
			if err := call(); err != nil && !errors.Is(err, proxyprocess.ErrClosed) {
				t.Error(err)
			}
		}()
	}
	for i := 0; i < 4; i++ {
		call(manager.Close)
		call(manager.Kill)
		call(manager.Run)
		call(func() error { _, err := manager.Status(); return err })
		call(func() error { _, err := manager.StatusJSON(); return err })
		call(func() error { return manager.Snapshot(manager.SnapshotPath()) })
		call(func() error { return manager.Reconfigure(quick(nil, dataDir)) })
		call(func() error {
			for {
				if _, err := events.Next(deadline(t)); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
			}
		})
		call(func() error {
			events, err := manager.Events()
			if err != nil {
				return err
			}
			return events.Close()
		})
		call(func() error { return state.Set("another", sleeper()) })
	}
	close(begin)
	calling.Wait()

	// What was left running is taken over, and stopped.
	lamps, manager, _ = newLampManager(t, state, dataDir)
	check(t, manager.Restore(""))
	check(t, manager.Kill())
}

func TestDaemonEndsAtTheSameTime(t *testing.T) {
	daemon, err := proxyprocess.NewDaemon("web", sleeper(), proxyprocess.DaemonOptions{})
	check(t, err)
	check(t, daemon.Start())
	check(t, daemon.Stop())
	var calling sync.WaitGroup
	for i := 0; i < 8; i++ {
		for _, call := range []func() error{
			daemon.Stop, daemon.Close,
			func() error { _, err := daemon.Status(); return err },
			func() error { daemon.MarshalSnapshot(); daemon.Equal(daemon); return nil },
		} {
			calling.Add(1)
			go func(call func() error) {
				defer calling.Done()
				if err := call(); err != nil && !errors.Is(err, proxyprocess.ErrClosed) {
					t.Error(err)
				}
			}(call)
		}
	}
	calling.Wait()
}

// forgettable is one of everything, with what can be forgotten by name.
func forgettable(t *testing.T, dataDir string) map[string]interface{} {
	t.Helper()
	state, err := proxyprocess.NewState()
	check(t, err)
	check(t, state.Set("a", declare("red")))
	subscription, err := state.Subscribe()
	check(t, err)
	manager, err := proxyprocess.NewManager(quick(state, dataDir))
	check(t, err)
	check(t, manager.RegisterKind("lamp", newLamps(t).make))
	check(t, manager.Restore(""))
	events, err := manager.Events()
	check(t, err)
	daemon, err := proxyprocess.NewDaemon("web", sleeper(), proxyprocess.DaemonOptions{})
	check(t, err)
	check(t, daemon.Start())
	check(t, daemon.Stop())
	return map[string]interface{}{
		"state": state, "subscription": subscription, "manager": manager, "events": events, "daemon": daemon,
	}
}

// use calls something on what is not forgotten yet.
func use(t *testing.T, values map[string]interface{}) {
	t.Helper()
	for _, value := range values {
		var err error
		switch value := value.(type) {
		case *proxyprocess.State:
			_, err = value.List()
		case *proxyprocess.Subscription:
			_, err = value.Wait(0)
		case *proxyprocess.Manager:
			_, err = value.Status()
		case *proxyprocess.Daemon:
			_, err = value.Status()
		case *proxyprocess.Events:
			if _, err = value.Next(over()); err == io.EOF || errors.Is(err, over().Err()) {
				err = nil
			}
		}
		check(t, err)
	}
}

func TestForgottenInAnyOrder(t *testing.T) {
	names := []string{"state", "subscription", "manager", "events", "daemon"}
	for first := range names {
		for _, step := range []int{1, 2, 3, 4} {
			dataDir := filepath.Join(t.TempDir(), "data")
			values := forgettable(t, dataDir)
			for i := range names {
				delete(values, names[(first+i*step)%len(names)])
				runtime.GC()
				use(t, values)
			}
			// The manager is gone when its data directory is free.
			for begun := time.Now(); ; runtime.GC() {
				manager, err := proxyprocess.NewManager(quick(newState(t), dataDir))
				if err == nil {
					check(t, manager.Close())
					break
				}
				if time.Since(begun) > patience {
					t.Fatal(err)
				}
			}
		}
	}
}

// What the library has of Go's is released with it.
func TestProxiesAreReleased(t *testing.T) {
	collected := make(chan string, 10)
	collect := func(lamp *lamp) { collected <- lamp.id }
	state := newState(t)
	lamps := newLamps(t)
	manager := newManager(t, quick(state, ""))
	check(t, manager.RegisterKind("lamp", func(context proxyprocess.ProxyContext) (proxyprocess.Proxy, error) {
		proxy, err := lamps.make(context)
		runtime.SetFinalizer(proxy, collect)
		return proxy, err
	}))
	run(t, manager)
	wait := func(id string) {
		t.Helper()
		for ctx := deadline(t); ; runtime.GC() {
			select {
			case got := <-collected:
				if got != id {
					t.Fatalf("got %s", got)
				}
				return
			case <-ctx.Done():
				t.Fatalf("%s is not released", id)
			default:
			}
		}
	}
	check(t, state.Set("a", declare("red")))
	lamps.until("start a")
	check(t, state.Set("a", declare("green")))
	lamps.until("start a")
	wait("a")
	check(t, manager.Kill())
	wait("a")
}
