// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.org/agent/proxyprocess"
)

func TestErrorOfAField(t *testing.T) {
	err := newState(t).ReplaceAllJSON([]byte(`{"web": {"comand": ["a"]}}`))
	var detail *proxyprocess.Error
	if !errors.As(err, &detail) {
		t.Fatalf("got %T", err)
	}
	if detail.Code != proxyprocess.ErrInvalidConfig || detail.Errno != 0 || detail.Unwrap() != nil {
		t.Errorf("got %+v", detail)
	}
	if !strings.HasPrefix(err.Error(), "proxies.web.comand: unknown field") {
		t.Errorf("got %q", err)
	}
	if detail.Class() != proxyprocess.ClassArgument || detail.Class().String() != "argument" {
		t.Errorf("got %v", detail.Class())
	}
}

func TestErrorOfTheSystem(t *testing.T) {
	manager := newManager(t, quick(newState(t), ""))
	err := fmt.Errorf("wrapped: %w", manager.Snapshot(filepath.Join(t.TempDir(), "missing", "snapshot")))
	expect(t, err, proxyprocess.ErrIO)
	if errors.Is(err, proxyprocess.ErrLocked) {
		t.Error("it is every code")
	}
	if !errors.Is(err, syscall.ENOENT) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not ENOENT", err)
	}
	var code proxyprocess.Code
	if !errors.As(err, &code) || code.Class() != proxyprocess.ClassSystem {
		t.Errorf("got %v", code)
	}
}

func TestCode(t *testing.T) {
	if got := proxyprocess.ErrLocked.Error(); got != "data directory is locked" {
		t.Errorf("got %q", got)
	}
	if later := proxyprocess.Code(-99); later.Error() != "unknown code" || later.Class() != proxyprocess.ClassInternal {
		t.Errorf("got %v, %v", later, later.Class())
	}
}

// What Go can pass and C cannot.
func TestTextsThatCCannotHold(t *testing.T) {
	state := newState(t)
	manager := newManager(t, quick(state, ""))
	withNUL := sleeper()
	withNUL.Command[1] = "a\x00b"
	_, ofDaemon := proxyprocess.NewDaemon("a\x00b", sleeper(), proxyprocess.DaemonOptions{})
	_, ofRemove := state.Remove("a\x00b")
	_, ofGet := state.Get("a\x00b")
	_, ofManager := proxyprocess.NewManager(quick(state, "a\x00b"))
	for name, err := range map[string]error{
		"Set":          state.Set("web", withNUL),
		"SetJSON":      state.SetJSON("a\x00b", []byte("{}")),
		"Remove":       ofRemove,
		"Get":          ofGet,
		"NewDaemon":    ofDaemon,
		"NewManager":   ofManager,
		"Restore":      manager.Restore("a\x00b"),
		"Snapshot":     manager.Snapshot("a\x00b"),
		"RegisterKind": manager.RegisterKind("a\x00b", wrap),
	} {
		if !errors.Is(err, proxyprocess.ErrInvalidConfig) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := state.Set("web", withNUL); err.Error() != "command[1]: expected no NUL byte" {
		t.Errorf("got %q", err)
	}
	expect(t, state.Set("\xff", sleeper()), proxyprocess.ErrInvalidUTF8)
}

func TestZeroValuesAreClosed(t *testing.T) {
	var state proxyprocess.State
	expect(t, state.Set("web", sleeper()), proxyprocess.ErrClosed)
	_, err := proxyprocess.NewManager(proxyprocess.ManagerOptions{State: &state})
	expect(t, err, proxyprocess.ErrClosed)
	_, err = proxyprocess.NewManager(proxyprocess.ManagerOptions{})
	expect(t, err, proxyprocess.ErrNullArgument)
	var manager proxyprocess.Manager
	expect(t, manager.Run(), proxyprocess.ErrClosed)
	check(t, manager.Kill())
	var daemon proxyprocess.Daemon
	expect(t, daemon.Start(), proxyprocess.ErrClosed)
	check(t, daemon.Close())
	var events proxyprocess.Events
	_, err = events.Next(deadline(t))
	expect(t, err, proxyprocess.ErrClosed)
	check(t, events.Close())
	var subscription proxyprocess.Subscription
	_, err = subscription.Wait(-1)
	expect(t, err, proxyprocess.ErrClosed)
}
