// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"syscall"
	"testing"
	"time"

	"example.org/agent/proxyprocess"
)

func TestManagerRestart(t *testing.T) {
	state := newState(t)
	check(t, state.Set("web", sleeper()))
	check(t, state.Set("other", sleeper()))
	manager := newManager(t, quick(state, ""))
	events := read(t, manager)
	expect(t, manager.Restart("web"), proxyprocess.ErrNotFound)
	run(t, manager)
	pids := events.started("other", "web")
	check(t, manager.Restart("web"))
	second := events.until(proxyprocess.EventStarted, "web").PID
	if second == pids["web"] || alive(pids["web"]) || !alive(pids["other"]) {
		t.Error("just the one process is replaced")
	}
	expect(t, manager.Restart("undeclared"), proxyprocess.ErrNotFound)
	expect(t, manager.Retry("undeclared"), proxyprocess.ErrNotFound)
	expect(t, manager.ResetCrashes("undeclared"), proxyprocess.ErrNotFound)
	check(t, manager.Retry("web"))
	check(t, manager.ResetCrashes("web"))
	expect(t, manager.Restart("a\x00b"), proxyprocess.ErrInvalidConfig)
	expect(t, manager.Restart("\xff"), proxyprocess.ErrInvalidUTF8)
	check(t, manager.Kill())
	expect(t, manager.Restart("web"), proxyprocess.ErrClosed)
}

func TestManagerSignal(t *testing.T) {
	state := newState(t)
	check(t, state.Set("web", sleeper()))
	check(t, state.Set("nothing", proxyprocess.ProxyConfig{Mode: proxyprocess.ModeNoop}))
	manager := newManager(t, quick(state, ""))
	events := read(t, manager)
	expect(t, manager.Signal("web", syscall.SIGKILL), proxyprocess.ErrNotFound)
	run(t, manager)
	events.until(proxyprocess.EventStarted, "web")
	check(t, manager.Signal("web", syscall.SIGUSR1))
	exited := events.until(proxyprocess.EventExited, "web")
	if exited.Exit != (proxyprocess.Exit{Kind: proxyprocess.ExitSignal, Value: int(syscall.SIGUSR1)}) {
		t.Errorf("got %v", exited.Exit)
	}
	events.until(proxyprocess.EventStarted, "web")
	expect(t, manager.Signal("web", 0), proxyprocess.ErrInvalidArgument)
	expect(t, manager.Signal("web", 65), proxyprocess.ErrInvalidArgument)
	expect(t, manager.Signal("nothing", syscall.SIGKILL), proxyprocess.ErrNotRunning)
	expect(t, manager.Signal("undeclared", syscall.SIGKILL), proxyprocess.ErrNotFound)
	check(t, manager.Kill())
	expect(t, manager.Signal("web", syscall.SIGKILL), proxyprocess.ErrClosed)
}

func TestManagerReload(t *testing.T) {
	state := newState(t)
	check(t, state.Set("none", sleeper()))
	works, fails, signals := sleeper(), sleeper(), sleeper()
	works.Reload = &proxyprocess.Reload{Command: []string{"true"}}
	fails.Reload = &proxyprocess.Reload{Command: []string{"false"}}
	signals.Reload = &proxyprocess.Reload{Signal: syscall.SIGUSR1}
	check(t, state.Set("works", works))
	check(t, state.Set("fails", fails))
	check(t, state.Set("signals", signals))
	manager := newManager(t, quick(state, ""))
	events := read(t, manager)
	expect(t, manager.Reload("works"), proxyprocess.ErrNotFound)
	run(t, manager)
	pids := events.started("none", "works", "fails", "signals")
	check(t, manager.Reload("works"))
	expect(t, manager.Reload("fails"), proxyprocess.ErrCommandFailed)
	expect(t, manager.Reload("none"), proxyprocess.ErrInvalidConfig)
	expect(t, manager.Reload("undeclared"), proxyprocess.ErrNotFound)
	check(t, manager.Reload("signals"))
	exited := events.until(proxyprocess.EventExited, "signals")
	if exited.PID != pids["signals"] || exited.Exit.Value != int(syscall.SIGUSR1) {
		t.Errorf("got %v", exited)
	}
	check(t, manager.Kill())
	expect(t, manager.Reload("works"), proxyprocess.ErrClosed)
}

func TestManagerWaitUntil(t *testing.T) {
	const running = proxyprocess.WaitRunning
	state := newState(t)
	manager := newManager(t, quick(state, ""))
	expect(t, manager.WaitUntil("web", running, 0), proxyprocess.ErrNotFound)
	check(t, state.Set("web", sleeper()))
	expect(t, manager.WaitUntil("web", running, time.Millisecond), proxyprocess.ErrTimeout)
	run(t, manager)
	check(t, manager.WaitUntil("web", running, patience))
	check(t, manager.WaitUntil("web", running, 0))
	check(t, manager.Restart("web"))
	check(t, manager.WaitUntil("web", running, -1))
	expect(t, manager.WaitUntil("web", 0, 0), proxyprocess.ErrInvalidArgument)
	all, err := manager.Status()
	check(t, err)
	if len(all) != 1 || all[0].State != proxyprocess.StateRunning {
		t.Errorf("got %+v", all)
	}
	check(t, state.Set("late", proxyprocess.ProxyConfig{Command: []string{"/is/not/there"}}))
	waited := make(chan error, 1)
	go func() { waited <- manager.WaitUntil("late", running, -1) }()
	check(t, manager.Kill())
	expect(t, <-waited, proxyprocess.ErrClosed)
}

func TestOneShot(t *testing.T) {
	state := newState(t)
	one := proxyprocess.ProxyConfig{Command: []string{"/bin/sh", "-c", "exit 64"}}
	one.Restart.Policy = proxyprocess.RestartNever
	check(t, state.Set("fails", one))
	one.ExpectedExit = []proxyprocess.ExpectedExit{{Code: 64}}
	check(t, state.Set("web", one))
	manager := newManager(t, quick(state, ""))
	events := read(t, manager)
	run(t, manager)
	const limit = time.Minute
	check(t, manager.WaitUntil("web", proxyprocess.WaitCompleted, limit))
	expect(t, manager.WaitUntil("web", proxyprocess.WaitRunning, limit), proxyprocess.ErrNotRunning)
	expect(t, manager.WaitUntil("fails", proxyprocess.WaitCompleted, limit), proxyprocess.ErrNotRunning)
	completed := events.until(proxyprocess.EventCompleted, "web")
	if completed.Exit != (proxyprocess.Exit{Kind: proxyprocess.ExitCode, Value: 64}) {
		t.Errorf("got %v", completed.Exit)
	}
	check(t, manager.Kill())
}

func TestPause(t *testing.T) {
	state := newState(t)
	check(t, state.Set("web", sleeper()))
	off := sleeper()
	off.Disabled = true
	check(t, state.Set("off", off))
	manager := newManager(t, quick(state, ""))
	run(t, manager)
	const limit = time.Minute
	check(t, manager.WaitUntil("off", proxyprocess.WaitPaused, limit))
	check(t, manager.WaitUntil("web", proxyprocess.WaitRunning, limit))
	check(t, manager.Pause("web"))
	check(t, manager.WaitUntil("web", proxyprocess.WaitPaused, limit))
	expect(t, manager.Restart("web"), proxyprocess.ErrPaused)
	expect(t, manager.Resume("off"), proxyprocess.ErrPaused)
	check(t, manager.Resume("web"))
	check(t, manager.WaitUntil("web", proxyprocess.WaitRunning, limit))
	expect(t, manager.Pause("undeclared"), proxyprocess.ErrNotFound)
	check(t, manager.Kill())
}
