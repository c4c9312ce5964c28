// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"example.org/agent/proxyprocess"
)

// patient is the declaration of a process that ignores SIGTERM, with an hour of grace. It makes a file when it does so.
func patient(t *testing.T) (config proxyprocess.ProxyConfig, awaitReady func()) {
	ready := filepath.Join(t.TempDir(), "ready")
	config = shell("trap '' TERM; : >" + ready + "; exec sleep 300")
	config.GracePeriod = time.Hour
	return config, func() {
		t.Helper()
		for ctx := deadline(t); ctx.Err() == nil; {
			if _, err := os.Stat(ready); err == nil {
				return
			}
		}
		t.Fatal("it is not ready")
	}
}

func TestManagerEndGraceDuringKill(t *testing.T) {
	config, awaitReady := patient(t)
	state := newState(t)
	check(t, state.Set("web", config))
	manager := newManager(t, quick(state, ""))
	events := read(t, manager)
	run(t, manager)
	pid := events.until(proxyprocess.EventStarted, "web").PID
	awaitReady()
	check(t, manager.EndGrace())
	if !alive(pid) {
		t.Error("it was not being stopped")
	}
	killed := make(chan error, 1)
	go func() { killed <- manager.Kill() }()
	events.until(proxyprocess.EventStopping, "web")
	check(t, manager.EndGrace())
	exit := proxyprocess.Exit{Kind: proxyprocess.ExitSignal, Value: int(syscall.SIGKILL)}
	if got := events.until(proxyprocess.EventExited, "web").Exit; got != exit {
		t.Errorf("got %v", got)
	}
	check(t, <-killed)
	if alive(pid) {
		t.Error("it lives")
	}
	check(t, manager.EndGrace())
}

func TestDaemonEndGraceDuringStop(t *testing.T) {
	config, awaitReady := patient(t)
	daemon := newDaemon(t, "web", config, proxyprocess.DaemonOptions{})
	check(t, daemon.EndGrace())
	events := read(t, daemon)
	check(t, daemon.Start())
	pid := events.until(proxyprocess.EventStarted, "web").PID
	awaitReady()
	stopped := make(chan error, 1)
	go func() { stopped <- daemon.Stop() }()
	events.until(proxyprocess.EventStopping, "web")
	check(t, daemon.EndGrace())
	check(t, <-stopped)
	if alive(pid) {
		t.Error("it lives")
	}
	check(t, daemon.Close())
	check(t, daemon.EndGrace())
}
