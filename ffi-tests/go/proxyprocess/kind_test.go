// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.org/agent/proxyprocess"
)

func TestKindIsCreatedComparedAndStopped(t *testing.T) {
	state := newState(t)
	lamps, manager, events := newLampManager(t, state, "")
	for mode, code := range map[string]proxyprocess.Code{
		"lamp": proxyprocess.ErrInvalidConfig, "noop": proxyprocess.ErrInvalidConfig, "No": proxyprocess.ErrInvalidConfig,
	} {
		expect(t, manager.RegisterKind(mode, lamps.make), code)
	}
	expect(t, manager.RegisterKind("other", nil), proxyprocess.ErrNullArgument)

	check(t, state.Set("a", declare("red")))
	run(t, manager)
	lamps.until("create a")
	lamps.until("start a")
	if pid := events.until(proxyprocess.EventStarted, "a").PID; pid != 0 {
		t.Errorf("got %d", pid)
	}
	// Another declaration that is the same to it.
	same := declare("red")
	same.Env = []string{"A=b"}
	check(t, state.Set("a", same))
	lamps.until("equal a")
	check(t, state.Set("a", declare("green")))
	lamps.until("equal a")
	if between := lamps.until("start a"); !strings.Contains(fmt.Sprint(between), "stop a") {
		t.Errorf("got %q", between)
	}
	_, err := state.Remove("a")
	check(t, err)
	lamps.until("stop a")

	check(t, state.Set("a", declare("red")))
	check(t, state.Set("b", declare("red")))
	lamps.until("start b")
	// The first takes until the second is asked to stop as well.
	requested := make(chan struct{})
	lamps.let("request stop b", func() error {
		close(requested)
		return nil
	})
	lamps.let("stop a", func() error {
		select {
		case <-requested:
			return nil
		case <-deadline(t).Done():
			return errors.New("b is not asked to stop")
		}
	})
	check(t, manager.Kill())
	lamps.until("stop a")
	lamps.until("stop b")
}

func TestKindIsSnapshottedAndRestored(t *testing.T) {
	dataDir := filepath.Join(t.TempDir(), "data")
	state := newState(t)
	check(t, state.Set("a", declare("red")))
	lamps, manager, _ := newLampManager(t, state, dataDir)
	run(t, manager)
	lamps.until("start a")
	check(t, manager.Close())
	lamps.until("close a")

	lamps, manager, _ = newLampManager(t, state, dataDir)
	check(t, manager.Restore(""))
	lamps.until("restore a")
	lamps.until("unmarshal a")
	run(t, manager)
	// It is the one that is declared, with all digits of its number.
	before := lamps.until("start a")
	if got := fmt.Sprint(before); !strings.Contains(got, "equal a") || strings.Contains(got, "stop a") {
		t.Errorf("got %s", got)
	}
	check(t, manager.Kill())
	lamps.until("stop a")
}

func TestKindThatFails(t *testing.T) {
	state := newState(t)
	lamps, manager, events := newLampManager(t, state, filepath.Join(t.TempDir(), "data"))
	lamps.let("create", func() error { return errors.New("no\nlamp \xff here") })
	check(t, state.Set("a", declare("red")))
	expectSame := runToTheEnd(t, manager)
	if text := events.until(proxyprocess.EventFailed, "a").Text; !strings.Contains(text, "no lamp \uFFFD here") {
		t.Errorf("got %q", text)
	}
	lamps.let("create", func() error { return nil })
	lamps.let("start", func() error { return fmt.Errorf("wrapped: %w", proxyprocess.ErrExhausted) })
	check(t, state.Set("b", declare("red")))
	if text := events.until(proxyprocess.EventFailed, "b").Text; text != "wrapped: a resource is exhausted" {
		t.Errorf("got %q", text)
	}
	wrong := declare("red")
	wrong.Options["color"] = 5
	check(t, state.Set("c", wrong))
	if text := events.until(proxyprocess.EventFailed, "c").Text; !strings.Contains(text, "options: ") {
		t.Errorf("got %q", text)
	}
	lamps.let("close b", func() error { return &proxyprocess.Error{Code: proxyprocess.ErrLocked, Message: "it is stuck"} })
	err := manager.Close()
	expect(t, err, proxyprocess.ErrLocked)
	if !strings.Contains(err.Error(), "it is stuck") {
		t.Errorf("got %v", err)
	}
	expectSame(err)
	check(t, manager.Close())
}

func TestKindThatPanics(t *testing.T) {
	for _, method := range []string{"create", "start", "equal", "marshal", "stop", "request stop"} {
		t.Run(method, func(t *testing.T) {
			logged := captureLog(t)
			state := newState(t)
			lamps, manager, _ := newLampManager(t, state, filepath.Join(t.TempDir(), "data"))
			events := read(t, manager)
			lamps.let(method, func() error { panic("on purpose") })
			check(t, state.Set("a", declare("red")))
			check(t, state.Set("b", sleeper()))
			expectSame := runToTheEnd(t, manager)
			events.until(proxyprocess.EventStarted, "b")
			check(t, state.Set("a", declare("green")))
			check(t, state.Set("c", sleeper()))
			events.until(proxyprocess.EventStarted, "c")
			err := manager.Kill()
			expectSame(err)
			if method == "stop" {
				expect(t, err, proxyprocess.ErrInternal)
				if !strings.Contains(err.Error(), "panic: on purpose") {
					t.Errorf("got %v", err)
				}
			} else {
				check(t, err)
			}
			if text := logged.String(); !strings.Contains(text, "on purpose") || !strings.Contains(text, "kind_test.go") {
				t.Errorf("got %s", text)
			}
		})
	}
}

func TestKindThatPanicsWhenItIsRestored(t *testing.T) {
	captureLog(t)
	dataDir := filepath.Join(t.TempDir(), "data")
	state := newState(t)
	check(t, state.Set("a", declare("red")))
	lamps, manager, _ := newLampManager(t, state, dataDir)
	run(t, manager)
	lamps.until("start a")
	check(t, manager.Close())

	lamps, manager, _ = newLampManager(t, state, dataDir)
	lamps.let("unmarshal", func() error { panic("on purpose") })
	check(t, manager.Restore(""))
	run(t, manager)
	lamps.until("create a")
	lamps.until("start a")
}

// What would wait for itself is refused, what would not is allowed.
func TestKindThatCallsTheLibrary(t *testing.T) {
	state := newState(t)
	lamps, manager, events := newLampManager(t, state, "")
	daemon := newDaemon(t, "inner", sleeper(), proxyprocess.DaemonOptions{})
	lamps.let("start", func() error {
		_, status := manager.Status()
		_, subscribed := manager.Events()
		for _, err := range []error{
			status, subscribed, manager.Run(), manager.Close(), manager.Kill(), manager.Snapshot("x"),
			manager.Reconfigure(quick(nil, "")),
		} {
			if !errors.Is(err, proxyprocess.ErrInCallback) {
				return fmt.Errorf("got %v", err)
			}
		}
		if err := daemon.Start(); err != nil {
			return err
		}
		return state.Set("other", sleeper())
	})
	check(t, state.Set("a", declare("red")))
	run(t, manager)
	events.started("a", "other")
	lamps.let("stop", daemon.Stop)
	check(t, manager.Kill())
	if got := status(t, daemon); got.State != proxyprocess.StateStopped {
		t.Errorf("got %v", got)
	}
}

// A callback on a thread of the library may start programs: they must not inherit its mask.
func TestKindThatStartsPrograms(t *testing.T) {
	state := newState(t)
	lamps, manager, events := newLampManager(t, state, "")
	clean := func() error {
		output, err := exec.Command("grep", "SigBlk", "/proc/self/status").Output()
		if got := strings.TrimSpace(string(output)); err == nil && !strings.HasSuffix(got, "\t0000000000000000") {
			err = errors.New(got)
		}
		return err
	}
	check(t, clean())
	lamps.let("start", clean)
	lamps.let("stop", clean)
	check(t, state.Set("a", declare("red")))
	run(t, manager)
	event, err := events.Next(deadline(t))
	check(t, err)
	if event.Kind != proxyprocess.EventStarted {
		t.Errorf("got %+v", event)
	}
	check(t, manager.Kill())
}

func TestNoop(t *testing.T) {
	var proxy proxyprocess.Proxy = &proxyprocess.Noop{}
	for _, err := range []error{
		proxy.Start(), proxy.Stop(), proxy.Close(), proxy.UnmarshalSnapshot(proxy.MarshalSnapshot()),
	} {
		check(t, err)
	}
	if !proxy.Equal(&proxyprocess.Noop{}) || proxy.Equal(&lamp{}) || len(proxy.MarshalSnapshot()) != 0 {
		t.Error("it is equal to its like")
	}
	state := newState(t)
	check(t, state.Set("a", proxyprocess.ProxyConfig{Mode: proxyprocess.ModeNoop}))
	check(t, state.Set("b", proxyprocess.ProxyConfig{Mode: "unknown"}))
	manager := newManager(t, quick(state, ""))
	failures, starts := read(t, manager), read(t, manager)
	run(t, manager)
	if text := failures.until(proxyprocess.EventFailed, "b").Text; !strings.Contains(text, "unknown") {
		t.Errorf("got %q", text)
	}
	starts.until(proxyprocess.EventStarted, "a")
}
