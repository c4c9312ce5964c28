// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.org/agent/proxyprocess"
)

// patience is how long a test waits for what must come. It only ever fails by it.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	result := m.Run()
	if left := leftovers(); left != "" {
		fmt.Fprintf(os.Stderr, "left behind by the tests: %s\n", left)
		result = 1
	}
	os.Exit(result)
}

var noneBlocked = []byte("SigBlk:\t0000000000000000")

// leftovers waits until there are no children of this process and no threads of the library, and says what is left.
func leftovers() string {
	var left []string
	for begun := time.Now(); time.Since(begun) < patience; {
		runtime.GC() // what tests forget on purpose is released by it
		left = nil
		for _, path := range glob("/proc/self/task/*/children") {
			if children, err := os.ReadFile(path); err == nil && len(children) > 0 {
				left = append(left, "children "+string(children))
			}
		}
		for _, path := range glob("/proc/self/task/*/status") {
			// A thread that Go has made in a callback has the name of the library's, but not its signal mask.
			status, err := os.ReadFile(path)
			if err == nil && bytes.HasPrefix(status, []byte("Name:\tproxy-")) && !bytes.Contains(status, noneBlocked) {
				left = append(left, "a thread of the library")
			}
		}
		if len(left) == 0 {
			return ""
		}
	}
	return strings.Join(left, ", ")
}

func glob(pattern string) []string {
	paths, _ := filepath.Glob(pattern)
	return paths
}

// deadline is a context that is done when patience is over.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// over is a context that is done.
func over() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, err error, code proxyprocess.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Fatalf("expected %v, got %v", code, err)
	}
}

// sleeper is the declaration of a process that lives until it is stopped; should a test die, not much longer.
func sleeper() proxyprocess.ProxyConfig {
	return proxyprocess.ProxyConfig{Command: []string{"sleep", "300"}, StopSignal: syscall.SIGTERM}
}

func shell(script string) proxyprocess.ProxyConfig {
	return proxyprocess.ProxyConfig{Command: []string{"sh", "-c", script}, StopSignal: syscall.SIGTERM}
}

func newState(t *testing.T) *proxyprocess.State {
	t.Helper()
	state, err := proxyprocess.NewState()
	check(t, err)
	t.Cleanup(func() { state.Close() })
	return state
}

// quick are options of short periods, under which root may run proxies.
func quick(state *proxyprocess.State, dataDir string) proxyprocess.ManagerOptions {
	return proxyprocess.ManagerOptions{
		State:           state,
		DataDir:         dataDir,
		SnapshotPeriod:  10 * time.Millisecond,
		CoalescePeriod:  100 * time.Millisecond,
		QuiescentPeriod: time.Millisecond,
		AllowRoot:       true,
	}
}

// newManager makes a manager that is killed when the test ends.
func newManager(t *testing.T, options proxyprocess.ManagerOptions) *proxyprocess.Manager {
	t.Helper()
	manager, err := proxyprocess.NewManager(options)
	check(t, err)
	t.Cleanup(func() {
		if err := manager.Kill(); err != nil {
			t.Errorf("kill: %v", err)
		}
	})
	return manager
}

// run runs a manager until the test ends or it is ended otherwise.
func run(t *testing.T, manager *proxyprocess.Manager) {
	ran := make(chan error, 1)
	go func() { ran <- manager.Run() }()
	t.Cleanup(func() {
		manager.Kill()
		if err := <-ran; err != nil && !errors.Is(err, proxyprocess.ErrClosed) {
			t.Errorf("run: %v", err)
		}
	})
}

// runToTheEnd runs a manager whose end may fail; the run is told the same as who ended it.
func runToTheEnd(t *testing.T, manager *proxyprocess.Manager) (expectSame func(err error)) {
	ran := make(chan error, 1)
	go func() { ran <- manager.Run() }()
	return func(err error) {
		t.Helper()
		if got := <-ran; fmt.Sprint(got) != fmt.Sprint(err) {
			t.Errorf("run: got %v, expected %v", got, err)
		}
	}
}

// newDaemon makes a daemon that is stopped and closed when the test ends.
func newDaemon(
	t *testing.T, id string, config proxyprocess.ProxyConfig, files proxyprocess.DaemonOptions,
) *proxyprocess.Daemon {
	t.Helper()
	daemon, err := proxyprocess.NewDaemon(id, config, files)
	check(t, err)
	t.Cleanup(func() {
		if err := daemon.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		daemon.Close()
	})
	return daemon
}

// reader reads the events of a manager or daemon.
type reader struct {
	*proxyprocess.Events
	t *testing.T
}

func read(t *testing.T, from interface {
	Events() (*proxyprocess.Events, error)
}) reader {
	t.Helper()
	events, err := from.Events()
	check(t, err)
	t.Cleanup(func() { events.Close() })
	return reader{events, t}
}

// started waits until proxies were started, in any order, and returns their processes.
func (r reader) started(ids ...string) map[string]int {
	r.t.Helper()
	pids := map[string]int{}
	for _, id := range ids {
		pids[id] = -1
	}
	for left, ctx := len(ids), deadline(r.t); left > 0; {
		event, err := r.Next(ctx)
		if err != nil {
			r.t.Fatalf("waiting for the start of %v: %v", ids, err)
		}
		if event.Kind == proxyprocess.EventStarted && pids[event.ID] == -1 {
			pids[event.ID] = event.PID
			left--
		}
	}
	return pids
}

// until waits for an event of a kind about a proxy.
func (r reader) until(kind proxyprocess.EventKind, id string) proxyprocess.Event {
	r.t.Helper()
	var seen []string
	for ctx := deadline(r.t); ; {
		event, err := r.Next(ctx)
		if err != nil {
			r.t.Fatalf("waiting for %v of %q: %v after %v", kind, id, err, seen)
		}
		if event.Kind == kind && event.ID == id {
			return event
		}
		seen = append(seen, fmt.Sprintf("%v of %q", event.Kind, event.ID))
	}
}

// lines is a text that is written by several goroutines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// captureLog takes what package log writes until the test ends.
func captureLog(t *testing.T) *lines {
	captured := &lines{}
	earlier := log.Writer()
	log.SetOutput(captured)
	t.Cleanup(func() { log.SetOutput(earlier) })
	return captured
}

// alive tells whether there is a process.
func alive(pid int) bool {
	return pid > 0 && syscall.Kill(pid, 0) == nil
}
